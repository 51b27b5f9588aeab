"""What a job took of its GPUs, in lines for people: energy, and memory over time."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpulab.client import Job
    from gpulab.schemas import UsageRead

REASONS = {
    "no_gpu": "the run had no GPU",
    "no_readings": "fewer than two readings",
    "counter_reset": "the driver's counter was reset",
    "not_supported": "this GPU does not report it",
    "no_process": "the driver listed no process of the run",
    "pid_unknown": "the driver reports process ids of another namespace",
    "no_permission": "the driver does not show it to this user",
    "gpu_lost": "the GPU was lost",
    "implausible": "the driver reported an impossible value",
}
MIN_POINTS = 2
"""Usage counts every sample, whatever the timeline beside it is thinned to."""


def usage_facts(job: "Job") -> Iterator[tuple[str, str]]:
    """Name and value of each reading of each attempt on each GPU; a missing one says why."""
    if job.data.attempt == 0:
        return
    found = job.samples(max_points=MIN_POINTS).usage
    for one in found:
        where = _where(one) if len(found) > 1 else ""
        shared = ", other jobs included" if one.shared else ""
        yield "energy", _usage_text(one, "energy_joules", "J", f" of the whole board{shared}") + where
        yield "memory over time", _usage_text(one, "gib_seconds", "GiB s", " of its processes") + where


def _usage_text(one: "UsageRead", field: str, unit: str, of_what: str) -> str:
    value = getattr(one, field)
    if value is None:
        reason = one.reasons.get(field, "no reason given")
        return f"not measured: {REASONS.get(reason, reason)}"
    return f"{value:.4g} {unit}{of_what}"


def _where(one: "UsageRead") -> str:
    return f" (attempt {one.attempt}{'' if one.gpu_uuid is None else f', {one.gpu_uuid}'})"
