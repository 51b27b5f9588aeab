"""What a benchmark says: a number with its spread, beside the least we accept and what we aim at."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

Better = Literal["lower", "higher"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table. `low` and `high` are the spread that `spread` names, over `samples` repetitions."""

    name: str
    what: str
    unit: str
    better: Better
    value: float
    low: float
    high: float
    spread: str
    samples: int
    bar: float | None = None
    aim: float | None = None
    beside: dict[str, float] = field(default_factory=dict)
    """Other numbers of the same run, with their unit in the key."""

    @property
    def verdict(self) -> str:
        for limit, words in ((self.aim, "aim met"), (self.bar, "bar met")):
            if limit is not None and self._reaches(limit):
                return words
        return "for comparison" if self.bar is None and self.aim is None else self._short()

    def _reaches(self, limit: float) -> bool:
        return self.value <= limit if self.better == "lower" else self.value >= limit

    def _short(self) -> str:
        return "short of the aim" if self.bar is None else "short of the bar"

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "verdict": self.verdict}


def median_figure(
    name: str,
    what: str,
    unit: str,
    better: Better,
    values: Sequence[float],
    *,
    bar: float | None = None,
    aim: float | None = None,
    beside: dict[str, float] | None = None,
) -> Figure:
    """The median of the repetitions with their interquartile range; with fewer than eight, their extremes."""
    few = len(values) < 8
    low, high = (min(values), max(values)) if few else np.percentile(values, [25, 75]).tolist()
    spread = "min-max" if few else "IQR"
    return Figure(
        name, what, unit, better, statistics.median(values), low, high, spread, len(values), bar, aim, beside or {}
    )


def bootstrap_interval(
    values: Sequence[float], statistic: Callable[[Sequence[float]], float] = statistics.median, *, draws: int = 2000
) -> tuple[float, float]:
    """95 % percentile interval of a statistic of the values, by resampling (Efron 1979), seeded."""
    generator = np.random.default_rng(0)
    data = np.asarray(values)
    found = [statistic(generator.choice(data, len(data)).tolist()) for _ in range(draws)]
    low, high = np.percentile(found, [2.5, 97.5]).tolist()
    return low, high
