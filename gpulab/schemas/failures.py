"""What is known of a failure beyond its message."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from gpulab.schemas.base import Outgoing
from gpulab.schemas.memory import Edit

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
    reasons: dict[str, str]
    """Why fields are null or empty. `edits` is among them until they are there."""


def first_advice(edits: Sequence[Edit]) -> str:
    """The end of a message that says what would have fitted; empty where nothing would."""
    change = next((edit.change for edit in edits if edit.fits), {})
    words = ", ".join(f"{name}={value}" for name, value in change.items())
    return f"; {words} would fit" if words else ""
