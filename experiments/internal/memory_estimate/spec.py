"""Question and answer of `memory-estimate`, by which the lab predicts the memory of what is submitted to it."""

from typing import Literal

from pydantic import Field

from experiments.contract import Experiment, GpuUse, Result, Spec
from experiments.memory.contract import Constants, Edit, Estimate, Interval, Workload

SLUG = "memory-estimate"


class GpuAsked(Spec):
    """A GPU that the workload may have to fit into."""

    name: str = Field(min_length=1, max_length=200)
    """A model that the estimator knows, or what the driver calls the device."""
    total_bytes: int = Field(ge=1, le=2**50)
    """Its memory."""
    constants: Constants | None = None
    """What its node measured of it; null for the documented defaults."""
    outgrown: bool = False
    """Whether a run ran out of so much memory, whatever was predicted: then an edit has to lower the prediction."""
    held_bytes: int | None = Field(default=None, ge=1, le=2**50)
    """What that run held or asked for in the end, at least; null where it is not known."""

    @property
    def key(self) -> str:
        """Tells apart what may be answered differently: models, memory, the software that constants hold for."""
        software = [self.constants.provenance] if self.constants else []
        outgrown = [f"outgrown by {self.held_bytes}" if self.held_bytes else "outgrown"] if self.outgrown else []
        return "/".join([self.name, str(self.total_bytes), *software, *outgrown])


class MemoryEstimateSpec(Spec):
    """A workload, the GPUs in question, and what may be changed."""

    workload: Workload
    """What is trained."""
    gpus: list[GpuAsked] = Field(default_factory=list, max_length=200)
    """For each of these the answer has a verdict."""
    editable: list[str] = Field(default_factory=list, max_length=100)
    """The fields of the workload that its owner can change."""


class ConstantsUsed(Result):
    """What a process takes of a GPU besides its tensors, and where that is known from."""

    source: Literal["measured", "default"]
    """`measured` by a node of the lab, or the documented `default`."""
    model: str | None
    """The model whose defaults fill in; null for a typical one."""
    context: Interval
    """The CUDA context with the loaded libraries."""
    cublas_workspace_bytes: int
    """What cuBLAS takes through the allocator and keeps."""
    convolution_workspace_likely_bytes: int
    """Scratch memory that a convolution is taken to want."""
    convolution_workspace_high_bytes: int
    """The most."""
    measured: Constants | None
    """The measurement; null for defaults."""


class GpuFit(Result):
    """Whether the workload fits into one GPU."""

    name: str
    """The GPU as it was asked for."""
    total_bytes: int
    """Its memory."""
    constants: ConstantsUsed
    """What was taken for the part that does not follow from the workload."""
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
    run="experiments.internal.memory_estimate.run:run",
    gpu=GpuUse.NONE,
    default_time_limit_seconds=120,
)
