"""What a run took of its GPUs over time: energy, and memory times seconds, from the samples."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

GIB = 2**30
NO_GPU = "no_gpu"
NO_READINGS = "no_readings"
"""Fewer than two samples: nothing lies between them."""
COUNTER_RESET = "counter_reset"
"""The driver was loaded anew meanwhile, so its counter began again."""


def usage(
    tracks: Iterable[Mapping[str, Any]], attempts: Collection[int], shared: Collection[int]
) -> list[dict[str, Any]]:
    """One entry a GPU of an attempt, in the shape of `UsageRead`; one without a GPU for an attempt that had none.

    `shared` are the attempts during which another job held a lease on one of the same GPUs.
    """
    found = [_of_gpu(track, track["attempt"] in shared) for track in tracks if track["source"] == "gpu"]
    without = set(attempts) - {entry["attempt"] for entry in found}
    found += [_entry(attempt, None, shared=False, reason=NO_GPU) for attempt in without]
    return sorted(found, key=lambda entry: (entry["attempt"], entry["gpu_uuid"] or ""))


def _entry(attempt: int, gpu_uuid: str | None, *, shared: bool, reason: str | None = None) -> dict[str, Any]:
    return {
        "attempt": attempt,
        "gpu_uuid": gpu_uuid,
        "seconds": None,
        "energy_joules": None,
        "gib_seconds": None,
        "shared": shared,
        "reasons": {} if reason is None else dict.fromkeys(("seconds", "energy_joules", "gib_seconds"), reason),
    }


def _of_gpu(track: Mapping[str, Any], shared: bool) -> dict[str, Any]:
    times, values, reasons = track["times"], track["values"], track["reasons"]
    if len(times) < 2:
        return _entry(track["attempt"], track["gpu_uuid"], shared=shared, reason=NO_READINGS)
    entry = _entry(track["attempt"], track["gpu_uuid"], shared=shared)
    entry["seconds"] = times[-1] - times[0]
    memory = _integral(times, values.get("process_used_bytes") or ())
    entry["gib_seconds"] = None if memory is None else memory / GIB
    if memory is None:
        entry["reasons"]["gib_seconds"] = reasons.get("process_used_bytes", NO_READINGS)
    entry["energy_joules"], reason = _energy(times, values, reasons)
    if reason is not None:
        entry["reasons"]["energy_joules"] = reason
    return entry


def _energy(
    times: Sequence[float], values: Mapping[str, Any], reasons: Mapping[str, str]
) -> tuple[float | None, str | None]:
    """By the driver's counter; where a GPU has none, power over time. The counter steps each 20 to 100 ms."""
    counted = [joules for joules in values.get("energy_joules") or () if joules is not None]
    if len(counted) >= 2:
        taken = counted[-1] - counted[0]
        return (taken, None) if taken >= 0 else (None, COUNTER_RESET)
    joules = _integral(times, values.get("power_watts") or ())
    return (joules, None) if joules is not None else (None, reasons.get("energy_joules", NO_READINGS))


def _integral(times: Sequence[float], readings: Sequence[float | None]) -> float | None:
    """By trapezia between neighbouring known readings; null where fewer than two are known."""
    known = [(time, value) for time, value in zip(times, readings, strict=False) if value is not None]
    if len(known) < 2:
        return None
    return sum((later - time) * (value + following) / 2 for (time, value), (later, following) in pairwise(known))
