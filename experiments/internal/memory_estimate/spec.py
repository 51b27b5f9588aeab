"""Question and answer of `memory-estimate`, by which the lab predicts the memory of what is submitted to it."""

from pydantic import Field

from experiments.contract import Experiment, GpuUse, Result, Spec
from experiments.memory.contract import Workload
from experiments.memory.devices import GpuAsked
from gpulab.schemas.memory import GpuVerdict, Prediction

SLUG = "memory-estimate"


class MemoryEstimateSpec(Spec):
    """A workload, the GPUs in question, and what may be changed."""

    workload: Workload
    """What is trained."""
    gpus: list[GpuAsked] = Field(default_factory=list, max_length=200)
    """For each of these the answer has a verdict."""
    editable: list[str] = Field(default_factory=list, max_length=100)
    """The fields of the workload that its owner can change."""


class MemoryEstimateResult(Result):
    """The prediction, and a verdict for each GPU."""

    prediction: Prediction
    """On a typical GPU."""
    gpus: list[GpuVerdict]
    """In the order in which they were asked for."""


EXPERIMENT = Experiment(
    slug=SLUG,
    title="Estimate of GPU memory",
    summary="Predicts the peak GPU memory of a training step without a GPU, and whether the step fits into given GPUs.",
    spec=MemoryEstimateSpec,
    result=MemoryEstimateResult,
    run="experiments.internal.memory_estimate.run:run",
    gpu=GpuUse.NONE,
    default_time_limit_seconds=120,
)
