"""What is known of a failure beyond its message."""

from typing import Literal

from gpulab.schemas.base import Outgoing
from gpulab.schemas.estimates import EditRead

TensorKind = Literal["parameter", "buffer", "gradient", "optimizer_state", "activation", "other"]


class TensorRead(Outgoing):
    """One tensor that was alive."""

    name: str
    """The parameter it is or belongs to, the layer that keeps it, or the variable that holds it."""
    kind: TensorKind
    shape: list[int]
    dtype: str
    size_bytes: int
    """Of its whole storage, which views share."""


class OutOfMemoryRead(Outgoing):
    """Where a run that ran out of memory stood. A null field has its reason in `reasons`."""

    device: Literal["cuda", "cpu"]
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
    edits: list[EditRead]
    """Up to three, the cheapest for the run's owner first."""
    snapshot: str | None
    """Name of the artifact with the allocator's segments and blocks."""
    reasons: dict[str, str]
    """Why fields are null or empty."""
