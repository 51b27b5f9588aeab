"""Whether a workload fits into a GPU, the largest batch that does, and what to change where it does not."""

from collections.abc import Collection, Iterator
from itertools import count

from experiments.memory.contract import Edit, Estimate, Fit, Interval, Workload
from experiments.memory.devices import Gpu, gpu_named
from experiments.memory.estimate import estimate, likely_peak_device
from experiments.memory.scaling import SMALLEST, TraceFamily

LARGEST_BATCH_SIZE = 65_536
MOST_EDITS = 3
LEAST_SAVING = 0.9
"""Where a run ran out although the prediction said that it fits, an edit has to lower it by a tenth at least."""
SHARE_OF_THE_ROOM = 0.9

Change = dict[str, str | int | bool]


def max_batch(
    workload: Workload, memory_bytes: int, gpu: Gpu | str | None = None, family: TraceFamily | None = None
) -> int | None:
    """The largest batch whose likely peak on the device is at most `memory_bytes`; None where none is.

    The batch size of `workload` does not matter. Its other fields do: an evaluation pass keeps its own size. `family`
    are traces of the workload, where the caller has them.
    """
    model = gpu if isinstance(gpu, Gpu) else gpu_named(gpu)
    family = family or TraceFamily(workload, cublas_workspace_bytes=model.cublas_workspace_bytes)
    family = family.with_workspace(model.cublas_workspace_bytes)
    known: dict[int, int] = {}

    def room(batch_size: int) -> int:
        if batch_size not in known:
            known[batch_size] = memory_bytes - likely_peak_device(family.at(batch_size), model)
        return known[batch_size]

    low, high = SMALLEST, LARGEST_BATCH_SIZE
    if room(low) < 0:
        return 1 if _one_picture_fits(family, model, memory_bytes) else None
    if room(high) >= 0:
        return high
    # The peak is nearly a line in the batch size, so a chord's zero is a near guess; halving bounds a bad one.
    for guesses in count():
        if high - low <= 1:
            return low
        chord = low + (high - low) * room(low) // (room(low) - room(high))
        # A guess just below the answer leaves the other end far away: look at its neighbour next.
        middle = chord + (guesses % 3 == 1) if guesses % 3 < 2 else (low + high) // 2
        middle = min(max(middle, low + 1), high - 1)
        low, high = (middle, high) if room(middle) >= 0 else (low, middle)
    raise AssertionError


def _one_picture_fits(family: TraceFamily, gpu: Gpu, memory_bytes: int) -> bool:
    try:
        return likely_peak_device(family.at(1), gpu) <= memory_bytes
    except ValueError:
        # Batch norm cannot normalise a single picture whose maps are one pixel large.
        return False


def fits(
    found: Estimate,
    gpu_total_bytes: int,
    *,
    gpu: Gpu | None = None,
    family: TraceFamily | None = None,
    editable: Collection[str] | None = None,
) -> Fit:
    """Fits as it is, fits up to a smaller batch, or cannot fit; with up to three edits that make it fit.

    `gpu` is the one of the estimate, where its name does not tell all. `family` are traces of the workload, where the
    caller has them. `editable` names the fields of a workload that its owner can change; null for all.
    """
    peak = found.peak_device
    gpu = gpu or gpu_named(found.gpu)
    inside = peak.likely_bytes <= gpu_total_bytes
    largest = max_batch(found.workload, gpu_total_bytes, gpu, family)
    return Fit(
        verdict="fits" if inside else "cannot_fit" if largest is None else "fits_up_to",
        certain=peak.high_bytes <= gpu_total_bytes if inside else peak.low_bytes > gpu_total_bytes,
        total_bytes=gpu_total_bytes,
        estimate=found,
        largest_batch_size=largest,
        edits=[] if inside else _edits(found.workload, gpu, largest, gpu_total_bytes, family, editable),
    )


def lowered(room_bytes: int, found: Estimate) -> int:
    """What the likely peak may be after an edit, for a run that ran out of `room_bytes`."""
    return min(room_bytes, round(LEAST_SAVING * found.peak_device.likely_bytes))


def _edits(
    workload: Workload,
    gpu: Gpu,
    largest: int | None,
    memory_bytes: int,
    family: TraceFamily | None,
    editable: Collection[str] | None,
) -> list[Edit]:
    """The first three that fit, in the order of what they cost; where fewer do, the rest come nearest."""
    tried: list[Edit] = []
    for change, reason in _proposals(workload, largest):
        if editable is not None and not change.keys() <= set(editable):
            continue
        traces = family if change.keys() == {"batch_size"} else None
        peak: Interval = estimate(_changed(workload, change), gpu, traces).peak_device
        tried.append(Edit(change=change, reason=reason, peak_device=peak, fits=peak.likely_bytes <= memory_bytes))
        if sum(edit.fits for edit in tried) == MOST_EDITS:
            break
    tried.sort(key=lambda edit: (not edit.fits, 0 if edit.fits else edit.peak_device.likely_bytes))
    return tried[:MOST_EDITS]


def _proposals(workload: Workload, largest: int | None) -> Iterator[tuple[Change, str]]:
    if largest is not None:
        yield {"batch_size": largest}, "The largest batch that fits."
        steps = -(-workload.batch_size * workload.gradient_accumulation_steps // largest)
        if workload.gradient_accumulation_steps < steps <= 1024:
            size = workload.batch_size * workload.gradient_accumulation_steps // steps
            if 0 < size <= largest:
                change: Change = {"batch_size": size, "gradient_accumulation_steps": steps}
                yield change, "The same pictures a step, in passes that fit; batch norm sees the smaller passes."
    if workload.precision == "float32":
        yield {"precision": "bfloat16"}, "Activations of convolutions and matrix products take half."
    if not workload.checkpointing:
        yield (
            {"checkpointing": True},
            "Blocks keep their inputs alone; a step computes them twice, about a third longer.",
        )
    if workload.optimizer in {"adam", "adamw"}:
        yield (
            {"optimizer": "sgd_momentum"},
            "One number of state an element instead of two; needs its own learning rate.",
        )
    if workload.optimizer != "sgd":
        yield {"optimizer": "sgd"}, "No state at all; needs its own learning rate."
    if workload.precision == "float32" and not workload.checkpointing:
        yield {"precision": "bfloat16", "checkpointing": True}, "Both at once."
    for share in (2, 4):
        smaller = workload.image_size // share // 32 * 32
        if smaller >= 32 and _valid(workload, {"image_size": smaller}):
            yield _smaller_pictures(workload, smaller, largest)


def _smaller_pictures(workload: Workload, smaller: int, largest: int | None) -> tuple[Change, str]:
    """Smaller pictures, and fewer of them where they alone would not do."""
    shrinks = (workload.image_size / smaller) ** 2
    reason = f"Activations shrink with the area, {shrinks:.1f} times"
    # What does not shrink is counted as if it did, and a little is left for the allocator's jumps.
    room = None if largest is None else int(SHARE_OF_THE_ROOM * largest * shrinks)
    if room is None or room >= workload.batch_size:
        return {"image_size": smaller}, f"{reason}."
    return {"image_size": smaller, "batch_size": room}, f"{reason}; so many then fit."


def _valid(workload: Workload, change: Change) -> bool:
    try:
        _changed(workload, change)
    except ValueError:
        return False
    return True


def _changed(workload: Workload, change: Change) -> Workload:
    return Workload.model_validate({**workload.model_dump(), **change})
