"""Whether a workload fits into a GPU, the largest batch that does, and what to change where it does not."""

from collections.abc import Collection, Iterator
from functools import lru_cache
from itertools import chain, count

from experiments.memory.contract import Edit, Estimate, Fit, Workload
from experiments.memory.devices import TYPICAL, Gpu, gpu_named
from experiments.memory.estimate import estimate, likely_peak_device
from experiments.memory.scaling import SMALLEST, TraceFamily
from experiments.memory.step import new_model
from experiments.torchvision_models import smaller_models

LARGEST_BATCH_SIZE = 65_536
MOST_EDITS = 3
LEAST_SAVING = 0.9
"""Where a run ran out although the prediction said that it fits, an edit has to lower it by a tenth at least."""
SHARE_OF_THE_ROOM = 0.9
STATE_COPIES = {"sgd": 0, "sgd_momentum": 1, "adam": 2, "adamw": 2}
"""Numbers that the optimizer keeps of each parameter."""

Change = dict[str, str | int | bool]


def max_batch(
    workload: Workload, memory_bytes: int, gpu: Gpu | str | None = None, family: TraceFamily | None = None
) -> int | None:
    """The largest batch whose likely peak on the device is at most `memory_bytes`; None where none is.

    The batch size of `workload` does not matter. Its other fields do: an evaluation pass keeps its own size. `family`
    are traces of the workload, where the caller has them.
    """
    model = gpu if isinstance(gpu, Gpu) else gpu_named(gpu)
    family = (family or _family_of(workload)).with_workspace(model.cublas_workspace_bytes)
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
        edits=[] if inside else _edits(found, gpu, largest, gpu_total_bytes, family, editable),
    )


def lowered(room_bytes: int, found: Estimate, held_bytes: int | None = None) -> int:
    """What the likely peak may be after an edit, for a run that ran out of `room_bytes`.

    `held_bytes` is what it held or asked for in the end, at least. A prediction that it proved too low is taken to be
    too low by the same factor after the edit.
    """
    likely = found.peak_device.likely_bytes
    proven = room_bytes if held_bytes is None else room_bytes * likely // max(held_bytes, likely, 1)
    return min(proven, round(LEAST_SAVING * likely))


def _edits(
    found: Estimate,
    gpu: Gpu,
    largest: int | None,
    memory_bytes: int,
    family: TraceFamily | None,
    editable: Collection[str] | None,
) -> list[Edit]:
    """The first three that fit, in the order of what they cost; where fewer do, the rest come nearest."""
    workload = found.workload
    changes = [
        (change, reason)
        for change, reason in _proposals(workload, largest)
        if (editable is None or change.keys() <= set(editable))
        and (largest is not None or _weights_fit(_changed(workload, change), memory_bytes))
    ]
    vain = [each for each in changes if _in_vain(each[0], found, largest, memory_bytes)]
    edits = (
        _tried(found, change, reason, gpu, memory_bytes, family)
        for change, reason in changes
        if (change, reason) not in vain
    )
    models: Iterator[Edit] = iter(())
    if editable is None or {"model", "batch_size"} <= set(editable):
        models = _other_models(workload, gpu, memory_bytes)
    tried: list[Edit] = []
    for edit in chain(edits, models):
        tried.append(edit)
        if sum(edit.fits for edit in tried) == MOST_EDITS:
            break
    else:
        for change, reason in vain[: max(0, MOST_EDITS - len(tried))]:
            tried.append(_tried(found, change, reason, gpu, memory_bytes, family))
    tried.sort(key=lambda edit: (not edit.fits, 0 if edit.fits else edit.peak_device.likely_bytes))
    return tried[:MOST_EDITS]


def _tried(
    found: Estimate, change: Change, reason: str, gpu: Gpu, memory_bytes: int, family: TraceFamily | None
) -> Edit:
    changed = _changed(found.workload, change)
    traces = family if family is not None and change.keys() == {"batch_size"} else _family_of(changed)
    peak = estimate(changed, gpu, traces).peak_device
    return Edit(change=change, reason=reason, peak_device=peak, fits=peak.likely_bytes <= memory_bytes)


def _in_vain(change: Change, found: Estimate, largest: int | None, memory_bytes: int) -> bool:
    """Whether a change surely saves too little, which need not be traced."""
    if largest is None:
        return False
    if change.keys() == {"precision"}:
        # A number takes half at best, so no more than twice the pictures fit.
        return found.workload.batch_size > 2 * largest
    if change.keys() == {"optimizer"}:
        saved_bytes = found.split.optimizer_state_bytes + found.split.temporary_bytes
        return found.peak_device.likely_bytes - memory_bytes > saved_bytes
    return False


def _proposals(workload: Workload, largest: int | None) -> Iterator[tuple[Change, str]]:
    if largest is None:
        yield from _drastic(workload)
        return
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


def _other_models(workload: Workload, gpu: Gpu, memory_bytes: int) -> Iterator[Edit]:
    """Smaller models that fit, the nearest first, with fewer pictures where need be; the last resort."""
    names = [model for model in smaller_models(workload.model) if _valid(workload, {"model": model})]
    models = [model for model in names if _weights_fit(_changed(workload, {"model": model}), memory_bytes)]
    for model in models:
        smaller = _changed(workload, {"model": model})
        family = _family_of(smaller)
        largest = max_batch(smaller, memory_bytes, gpu, family)
        if largest is None:
            continue
        size: Change = {} if largest >= workload.batch_size else {"batch_size": largest}
        peak = estimate(_changed(smaller, size), gpu, family).peak_device
        reason = (
            "A smaller model; its accuracy is another." if not size else "A smaller model, and as many as then fit."
        )
        fit = peak.likely_bytes <= memory_bytes
        yield Edit(change={"model": model, **size}, reason=reason, peak_device=peak, fits=fit)


@lru_cache(maxsize=32)
def _family_of(workload: Workload) -> TraceFamily:
    """Traces that serve every GPU that is asked about."""
    return TraceFamily(workload, cublas_workspace_bytes=TYPICAL.cublas_workspace_bytes)


def _weights_fit(workload: Workload, memory_bytes: int) -> bool:
    """Whether weights, gradients and optimizer state alone do, which is soon told."""
    parameters = sum(each.numel() for each in new_model(workload, "meta").parameters())
    copies = 2 + STATE_COPIES[workload.optimizer]
    return parameters * copies * 4 <= memory_bytes


def _drastic(workload: Workload) -> Iterator[tuple[Change, str]]:
    """For a workload of which not one picture fits: what saves the most, with next to no pictures."""
    few: Change = {"batch_size": SMALLEST} if workload.batch_size > SMALLEST else {}
    halved: Change = {"precision": "bfloat16"} if workload.precision == "float32" else {}
    again: Change = {} if workload.checkpointing else {"checkpointing": True}
    stateless: Change = {} if workload.optimizer == "sgd" else {"optimizer": "sgd"}
    if again:
        yield {**few, **halved, **again}, "Fewest activations: few pictures, half precision, blocks that compute twice."
    if stateless:
        yield {**few, **stateless}, "No state of the optimizer; needs its own learning rate."
    if again and stateless:
        yield {**few, **halved, **again, **stateless}, "All of it at once."
    smaller = workload.image_size // 4 // 32 * 32
    if smaller >= 32 and _valid(workload, {"image_size": smaller}):
        yield {**few, "image_size": smaller}, "Activations shrink with the area, 16 times or more."


def _smaller_pictures(workload: Workload, smaller: int, largest: int) -> tuple[Change, str]:
    """Smaller pictures, and fewer of them where they alone would not do."""
    shrinks = (workload.image_size / smaller) ** 2
    reason = f"Activations shrink with the area, {shrinks:.1f} times"
    # What does not shrink is counted as if it did, and a little is left for the allocator's jumps.
    room = int(SHARE_OF_THE_ROOM * largest * shrinks)
    if room >= workload.batch_size:
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
