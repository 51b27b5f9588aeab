"""Question and answer of `memory-estimate`, by which the lab predicts the memory of what is submitted to it."""

from typing import Literal

from pydantic import Field

from experiments.contract import Experiment, GpuUse, Result, Spec
from experiments.memory.contract import Edit, Estimate, Interval, Workload

SLUG = "memory-estimate"


class GpuAsked(Spec):
    """A GPU that the workload may have to fit into."""

    name: str = Field(min_length=1, max_length=200)
    """A model that the estimator knows, or what the driver calls the device."""
    total_bytes: int = Field(ge=1, le=2**50)
    """Its memory."""

    @property
    def key(self) -> str:
        """Tells models apart, and devices of one name with different memory."""
        return f"{self.name}/{self.total_bytes}"


class MemoryEstimateSpec(Spec):
    """A workload, the GPUs in question, and what may be changed."""

    workload: Workload
    """What is trained."""
    gpus: list[GpuAsked] = Field(default_factory=list, max_length=200)
    """For each of these the answer has a verdict."""
    editable: list[str] = Field(default_factory=list, max_length=100)
    """The fields of the workload that its owner can change."""


class GpuFit(Result):
    """Whether the workload fits into one GPU."""

    name: str
    """The GPU as it was asked for."""
    total_bytes: int
    """Its memory."""
    constants_of: str | None
    """The model whose context and workspace were used; null for typical ones."""
    peak_device: Interval
    """What the device will show in use."""
    verdict: Literal["fits", "fits_up_to", "cannot_fit"]
    """`fits_up_to`: not at this batch size, but at a smaller one. `cannot_fit`: not even with one picture."""
    certain: bool
    """Whether the whole interval lies on the verdict's side."""
    max_batch_size: int | None
    """The largest batch that fits; null where none does."""
    edits: list[Edit]
    """Up to three changes that make it fit, or come nearest; empty where it fits."""


class MemoryEstimateResult(Result):
    """The prediction, and a verdict for each GPU."""

    estimate: Estimate
    """On a typical GPU."""
    gpus: list[GpuFit]
    """In the order in which they were asked for."""


EXPERIMENT = Experiment(
    slug=SLUG,
    title="Estimate of GPU memory",
    summary="Predicts the peak of GPU memory of a training step without a GPU, and whether it fits into given ones.",
    spec=MemoryEstimateSpec,
    result=MemoryEstimateResult,
    run="experiments.catalog.memory_estimate.run:run",
    gpu=GpuUse.NONE,
    default_time_limit_seconds=120,
    listed=False,
)
