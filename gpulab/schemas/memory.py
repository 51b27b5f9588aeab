"""The vocabulary of GPU memory: what the predictor answers, what the database keeps and what the API sends,
before a run and after one that ran out of it.

All sizes are bytes. An interval stands only for what depends on a real machine: the CUDA context and the libraries.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from gpulab.schemas.base import Outgoing


class Verdict(StrEnum):
    FITS = "fits"
    FITS_UP_TO = "fits_up_to"
    """Not at this batch size, but at a smaller one."""
    CANNOT_FIT = "cannot_fit"
    """Not even with one image; of a student's own program: not as it is."""
    NOT_PREDICTED = "not_predicted"
    """The GPU cannot take the steps, for another reason than memory."""


class BytesInterval(Outgoing):
    """Where a number lies that is not known exactly."""

    low_bytes: int
    likely_bytes: int
    high_bytes: int

    def plus(self, size_bytes: int) -> "BytesInterval":
        """This interval moved up."""
        return BytesInterval(
            low_bytes=self.low_bytes + size_bytes,
            likely_bytes=self.likely_bytes + size_bytes,
            high_bytes=self.high_bytes + size_bytes,
        )


class Parts(Outgoing):
    """What is in use on the device when most is; the parts add up to `peak_device_bytes`."""

    parameters_bytes: int
    buffers_bytes: int
    """Such as batch norm's running statistics."""
    batch_bytes: int
    """Images and labels."""
    gradients_bytes: int
    """Gradients of parameters."""
    optimizer_state_bytes: int
    activations_bytes: int
    """What the forward pass made and backward still needs, outputs included."""
    temporary_bytes: int
    """Gradients of activations, and what an operation or an optimizer's step makes and drops."""
    workspace_bytes: int
    """What cuBLAS keeps, and what a kernel, such as a convolution's, takes only while it runs."""
    rounding_bytes: int
    """The allocator's rounding of requests to blocks."""
    fragmentation_bytes: int
    """Reserved and not allocated: free blocks between live ones, and blocks kept from before."""
    cuda_context: BytesInterval
    """The CUDA context with the loaded libraries, outside the allocator."""


class ModuleMemory(Outgoing):
    """What one module holds at the peak, without the modules in it. The rows add up to the parts without rounding,
    fragmentation and context: those are the allocator's and the driver's."""

    path: str | None
    """Dotted name in the model, empty for the model itself. Null outside of it: images and labels, the loss, and what
    the optimizer's step makes and drops."""
    kind: str | None
    """Its class; null outside of the model, and where `folded` modules are counted together."""
    folded: int = 0
    """Of how many small modules below `path` these bytes are, counted together; 0 for one module's own."""
    held_bytes: dict[str, int]
    """Bytes by cause: names are fields of `Parts`, and those of size zero are left out."""


class PhaseLevel(Outgoing):
    """The allocator during one phase of the two steps."""

    phase: str
    """`model`, `batch`, `zero_grad`, `forward`, `backward`, `step`, `second_zero_grad`, ..., `evaluation`."""
    allocated_bytes: int
    """Allocated when the phase ends."""
    peak_allocated_bytes: int
    """The most allocated within the phase."""
    reserved_bytes: int
    """Reserved when the phase ends."""
    peak_reserved_bytes: int
    """The most reserved within the phase."""


class Prediction(Outgoing):
    """Two training steps, taken by PyTorch's own allocator on an emulated card."""

    card: str
    """The emulated card."""
    torch_version: str
    peak_allocated_bytes: int
    """What `torch.cuda.max_memory_allocated` will show."""
    peak_reserved_bytes: int
    """What `torch.cuda.max_memory_reserved` will show."""
    peak_device_bytes: BytesInterval
    """What the device will show in use by the run: reserved, and the context."""
    peak_phase: str | None
    """The phase of the step that the peak falls into; null where `reasons` says why, as of the two that follow."""
    parts: Parts | None
    phases: list[PhaseLevel] | None
    """The allocator phase by phase."""
    modules: list[ModuleMemory] | None = None
    """Which modules hold the peak, in the order of their definition; small ones are counted together."""
    claimed_by_program: bool = False
    """Whether a student's program measured itself, in its sandbox: then the lab cannot vouch for it."""
    assumptions: list[str] = Field(default_factory=list)
    """What the prediction of a program takes for granted, in words."""
    reasons: dict[str, str] = Field(default_factory=dict)
    """Why a field is null, by its name."""

    def levels(self) -> dict[str, int]:
        """As plain numbers, for the run's record."""
        return {
            "allocated_bytes": self.peak_allocated_bytes,
            "reserved_bytes": self.peak_reserved_bytes,
            "device_low_bytes": self.peak_device_bytes.low_bytes,
            "device_likely_bytes": self.peak_device_bytes.likely_bytes,
            "device_high_bytes": self.peak_device_bytes.high_bytes,
        }


class Edit(Outgoing):
    """A change of the spec that makes it fit, or comes nearest."""

    change: dict[str, Any]
    """Fields of the spec and their new values."""
    reason: str
    """What it saves, and at what price."""
    peak_device_bytes: BytesInterval
    """The prediction with the change."""
    fits: bool


class Constants(Outgoing):
    """What a process takes of a GPU besides its tensors, as a node measured it; docs/gpu-memory.md says how.

    It holds for one GPU model under one driver, CUDA version and torch, which are named beside it.
    """

    gpu: str
    """What the driver calls the device."""
    driver_version: str | None
    cuda_version: str | None
    """The newest that the driver runs."""
    torch_version: str
    context_bytes: int
    """A context and torch's first kernel."""
    libraries_bytes: int
    """What cuBLAS, cuDNN and the kernels of a small training step add to it outside the allocator."""
    cublas_workspace_bytes: int
    """What cuBLAS takes through the allocator and keeps."""
    convolution_workspace_bytes: int
    """The most scratch memory that one of a few common convolutions took."""
    measured_at: datetime

    @property
    def provenance(self) -> str:
        """What the numbers hold for, besides the GPU model."""
        return provenance(self.driver_version, self.cuda_version, self.torch_version)


def provenance(driver_version: str | None, cuda_version: str | None, torch_version: str) -> str:
    """The software that decides what a context takes, in words that serve as a key."""
    return f"driver {driver_version}, CUDA {cuda_version}, torch {torch_version}"


class ConstantsUsed(Outgoing):
    """What a prediction counted for the CUDA context, and where that is known from."""

    source: Literal["measured", "default"]
    """`measured` by a node of the lab when it started, or the documented `default`."""
    cuda_context: BytesInterval
    """The CUDA context with the loaded libraries."""
    measured: Constants | None
    """Null for defaults."""


class GpuVerdict(Outgoing):
    """Whether the run fits into one GPU, and what its memory will be there. Sizes are null if nothing is predicted."""

    name: str
    """What the driver calls it; of a model that the lab does not have, the model's name."""
    model: str | None
    """The documented model that it is, such as `T4`; null for none."""
    total_bytes: int
    in_lab: bool = False
    verdict: Verdict
    reason: str | None = None
    """Why nothing is predicted for this GPU; null if something is."""
    certain: bool
    """Whether the verdict is the same for the whole interval."""
    card: str
    """The emulated card."""
    torch_version: str
    peak_allocated_bytes: int | None
    """What `torch.cuda.max_memory_allocated` will show."""
    peak_reserved_bytes: int | None
    """What `torch.cuda.max_memory_reserved` will show."""
    peak_device_bytes: BytesInterval | None
    """What the device will show in use by the run: reserved, and the context."""
    peak_phase: str | None
    """The phase of the step that the peak falls into."""
    parts: Parts | None
    phases: list[PhaseLevel] | None
    """The allocator phase by phase."""
    modules: list[ModuleMemory] | None = None
    """Which modules hold the peak, in the order of their definition; small ones are counted together."""
    max_batch_size: int | None
    """The largest batch that fits; null if none does, or where `reasons` says why. The allocator may have to return
    free blocks and try again."""
    max_batch_size_without_retries: int | None
    """The largest batch that fits at the first try of every request, and so at full speed."""
    edits: list[Edit]
    """Up to three changes that make it fit, or come nearest; empty if it fits."""
    constants: ConstantsUsed
    claimed_by_program: bool = False
    """Whether a student's program measured itself, in its sandbox: then the lab cannot vouch for it."""
    assumptions: list[str] = Field(default_factory=list)
    """What the prediction of a program takes for granted, in words."""
    reasons: dict[str, str] = Field(default_factory=dict)
    """Why a field is null, by its name."""


TensorKind = Literal["parameter", "buffer", "gradient", "optimizer_state", "activation", "other"]


class TensorRead(Outgoing):
    """One tensor that was alive."""

    name: str
    """The parameter it is or belongs to, the layer that keeps it, or the variable that holds it; of a block, the line
    that asked for it."""
    kind: TensorKind
    shape: list[int] | None
    """Null, as the type, for a block of the allocator that is known by a snapshot alone."""
    dtype: str | None
    size_bytes: int
    """Of its whole storage, which views share."""


class OutOfMemoryRead(Outgoing):
    """Where a run that ran out of memory stood. A null field has its reason in `reasons`."""

    device: Literal["cuda", "cpu"]
    ended_by: Literal["allocator", "watchdog"] = "allocator"
    """`allocator`: it asked for more than there was. `watchdog`: it held more than it had reserved, and was ended."""
    at: datetime | None = None
    """When."""
    phase: str | None
    """`model`, `forward`, `backward`, `step` or `evaluation`; else the run's own last mark."""
    module: str | None
    """Dotted name and class of the layer that asked for memory."""
    requested_bytes: int | None
    """What was asked for and not there."""
    allocated_bytes: int | None
    """Live tensors then, as the caching allocator counts them."""
    reserved_bytes: int | None
    """Blocks that the caching allocator held."""
    fragmentation_bytes: int | None
    """Reserved and not allocated: free blocks that no request fitted."""
    process_used_bytes: int | None = None
    """What the driver saw the run hold, context included, when the watchdog ended it."""
    device_used_bytes: int | None
    """In use on the device, neighbours included."""
    device_total_bytes: int | None
    limit_bytes: int | None
    """What the run had: its reservation, or else the memory of the device or the machine."""
    inside_reservation: bool | None
    """Whether it failed for want of free memory while it held no more than it had reserved."""
    largest_tensors: list[TensorRead]
    """Up to ten, the largest first."""
    predicted_peak_bytes: int | None
    """What was to be expected on the device."""
    edits: list[Edit]
    """Up to three, the cheapest for the run's owner first. They follow within seconds of the failure."""
    snapshot: str | None
    """Name of the artifact with the allocator's segments and blocks."""
    claimed_by_program: list[str] = Field(default_factory=list)
    """Fields that a student's program says of itself: the lab did not measure them and cannot check them."""
    reasons: dict[str, str]
    """Why fields are null or empty. `edits` is among them until they are there."""


def first_advice(edits: Sequence[Edit]) -> str:
    """The end of a message that says what would have fitted; empty where nothing would."""
    change = next((edit.change for edit in edits if edit.fits), {})
    words = ", ".join(f"{name}={value}" for name, value in change.items())
    return f"; {words} would fit" if words else ""
