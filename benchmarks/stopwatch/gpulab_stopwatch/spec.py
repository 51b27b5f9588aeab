"""Parameters of the stopwatch."""

from typing import Annotated

from pydantic import Field

from experiments.contract import Experiment, GpuUse, Result, Spec


class StopwatchSpec(Spec):
    records: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Metrics to record, one a step, each with the time of day as its value."""
    gap_seconds: Annotated[float, Field(ge=0.0, le=60.0)] = 0.0
    """Pause after each."""


class StopwatchResult(Result):
    body_started_time: float
    """When the first line of the run was reached, seconds since the epoch."""
    torch_was_ready: bool
    """Whether torch was imported by then."""


EXPERIMENT = Experiment(
    slug="stopwatch",
    title="Stopwatch",
    summary="Says when its body began and when it recorded what.",
    spec=StopwatchSpec,
    result=StopwatchResult,
    run="gpulab_stopwatch.run:run",
    gpu=GpuUse.NONE,
)
