"""Student's t intervals of a mean, in plain Python: the API has no scipy."""

import math
from collections.abc import Sequence
from functools import cache
from statistics import NormalDist, fmean, stdev

from pydantic import BaseModel, ConfigDict

SHOWN = 0.95
"""Confidence of the intervals that tables and figures show."""
JUDGED = 0.999
"""Confidence at which a value is said to differ from the correct one: a report makes some hundred comparisons, and one
in twenty of the shown intervals misses the truth by chance alone."""


class Interval(BaseModel):
    """A mean and where it lies with 95 % confidence."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    mean: float
    """The mean."""
    low: float
    """Lower end of the 95 % interval; the mean itself for a single value."""
    high: float
    """Upper end; the mean itself for a single value."""
    n: int
    """How many values."""
    sd: float | None
    """Their standard deviation (n - 1); null for a single value."""

    def holds(self, value: float, *, tolerance: float = 0.0) -> bool:
        """Whether `value` cannot be separated from the mean at 99.9 %; a single value must lie within the tolerance."""
        return abs(value - self.mean) <= self.margin(JUDGED) + tolerance

    def margin(self, confidence: float) -> float:
        """Half the width of the interval of that confidence; 0 for a single value."""
        if self.sd is None:
            return 0.0
        return t_quantile(confidence, self.n - 1) * self.sd / math.sqrt(self.n)

    @property
    def sign(self) -> int:
        """1 or -1 where the 95 % interval lies on that side of 0, else 0; 0 for a single value."""
        if self.sd is None or self.low <= 0 <= self.high:
            return 0
        return 1 if self.mean > 0 else -1


def interval(values: Sequence[float]) -> Interval:
    """Mean and 95 % interval of at least one value."""
    mean, n = fmean(values), len(values)
    if n == 1:
        return Interval(mean=mean, low=mean, high=mean, n=1, sd=None)
    sd = stdev(values)
    margin = t_quantile(SHOWN, n - 1) * sd / math.sqrt(n)
    return Interval(mean=mean, low=mean - margin, high=mean + margin, n=n, sd=sd)


@cache
def t_quantile(confidence: float, degrees: int) -> float:
    """t with P(|T| <= t) = `confidence`, by bisection on its exact distribution function."""
    low, high = 0.0, 1.0
    while _central(high, degrees) < confidence:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _central(middle, degrees) < confidence else (low, middle)
    return (low + high) / 2


def _central(t: float, degrees: int) -> float:
    """P(|T| <= t) as a finite sum (Abramowitz and Stegun 26.7.3 and 26.7.4); normal beyond 2000 degrees."""
    if degrees > 2000:
        return 2 * NormalDist().cdf(t) - 1
    angle = math.atan(t / math.sqrt(degrees))
    cosine_squared = math.cos(angle) ** 2
    odd = degrees % 2 == 1
    term = math.cos(angle) if odd else 1.0
    total = 0.0
    for k in range(degrees // 2):
        total += term
        term *= cosine_squared * ((2 * k + 2) / (2 * k + 3) if odd else (2 * k + 1) / (2 * k + 2))
    series = math.sin(angle) * total
    return 2 / math.pi * (angle + series) if odd else series
