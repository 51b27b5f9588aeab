"""Parameters and result of `darts`. No torch here: the API reads this module."""

from pydantic import Field

from experiments.contract import Experiment, GpuUse, Metric, Result, Spec


class DartsSpec(Spec):
    """How many darts, and how they are thrown."""

    darts: int = Field(default=100_000, ge=100, le=10_000_000)
    """Darts thrown at the unit square."""
    rounds: int = Field(default=20, ge=1, le=1000)
    """Rounds of equally many darts; the estimate is recorded after each."""


class DartsResult(Result):
    """The estimate and how far it may be off."""

    pi: float
    """Four times the share of darts within the quarter circle."""
    standard_error: float
    """Standard deviation of that estimate over all draws."""
    estimates: list[float]
    """The estimate after each round."""


EXPERIMENT = Experiment(
    slug="darts",
    title="Pi by throwing darts",
    summary="The share of uniform points within a quarter circle is pi/4; the error falls as one over the root of n.",
    spec=DartsSpec,
    result=DartsResult,
    run="gpulab_pi.run:run",
    figures="gpulab_pi.figures:draw",
    metrics=(Metric("pi", description="Estimate so far"),),
    gpu=GpuUse.NONE,
    default_time_limit_seconds=300,
)
