"""Metrics and the memory timeline on the wire."""

from typing import Any, Literal
from uuid import UUID

from gpulab.schemas.base import Outgoing


class SeriesRead(Outgoing):
    """One metric as parallel lists, ordered by step."""

    name: str
    steps: list[int]
    values: list[float | None]
    """Null stands for a value that is not finite; see `nonfinite`."""
    times: list[float]
    """Unix seconds at which each point was recorded."""
    nonfinite: dict[int, str]
    """Index in `values` to `nan`, `inf` or `-inf`."""
    total_points: int
    """How many there are before downsampling."""


class MetricsRead(Outgoing):
    job_id: UUID
    series: list[SeriesRead]
    names: list[str]
    """Every metric of the job, also those not asked for."""
    cursor: str
    """Given as `after` next time, it stands for all that was read until now."""
    whole: bool
    """True when these are all points; false when they follow those that were read before `after`.

    It is true in spite of `after` where a later attempt took points back: what was read before is then no longer so."""


Reporter = Literal["lab", "program"]


class SampleTrack(Outgoing):
    """Readings of one source on one time axis."""

    source: str
    """`host` (the process tree), `gpu` (NVML), `allocator` (torch) or `prediction` (one point)."""
    reported_by: Reporter
    """`program` for what a user's own program says of itself: the lab did not measure it and cannot check it."""
    gpu_uuid: str | None
    attempt: int
    times: list[float]
    """Unix seconds."""
    values: dict[str, list[Any]]
    """Field name (with its unit) to readings; null is a missing reading, never zero."""
    reasons: dict[str, str]
    """Why a field has nulls."""


class PhaseRead(Outgoing):
    time: float
    name: str
    attempt: int
    reported_by: Reporter


class UsageRead(Outgoing):
    """What an attempt took of one GPU; a null has its reason in `reasons`."""

    attempt: int
    gpu_uuid: str | None
    """Null for an attempt that was sampled on no GPU."""
    seconds: float | None
    """Between the first sample and the last."""
    energy_joules: float | None
    """Of the whole board over that time."""
    gib_seconds: float | None
    """Memory of the job's processes, integrated over that time, in GiB times seconds."""
    shared: bool
    """True when another job held a lease on the GPU meanwhile: the energy is then the neighbours' too."""
    reasons: dict[str, str]


class SamplesRead(Outgoing):
    job_id: UUID
    tracks: list[SampleTrack]
    phases: list[PhaseRead]
    """Marks of the run: `model`, `forward`, `backward`, `step`, `evaluation`, or the run's own names."""
    predicted_peak_bytes: int | None
    """The likely peak on the device, context included: by the run, and before it does, by the lab."""
    usage: list[UsageRead]
