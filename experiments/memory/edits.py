"""What to change where a workload does not fit: up to three edits, each with its own steps on the emulated card."""

from collections.abc import Collection, Iterator
from contextlib import suppress
from itertools import chain

from experiments.memory.bench import Bench
from experiments.memory.contract import Workload
from experiments.memory.processes import StepsRefusedError
from experiments.memory.step import blank_model
from experiments.torchvision_models import smaller_models
from gpulab.schemas.memory import Edit, Prediction

MAX_EDITS = 3
MIN_SAVING = 0.9
"""Where a run ran out although the prediction said that it fits, an edit has to lower it by a tenth at least."""
SHARE_OF_THE_ROOM = 0.9
FEW = 2
"""Images in a batch: with one, batch norm may have nothing to normalise."""
STATE_COPIES = {"sgd": 0, "sgd_momentum": 1, "adam": 2, "adamw": 2}
"""Numbers that the optimizer keeps of each parameter."""

Change = dict[str, str | int | bool]


def lowered(total_bytes: int, found: Prediction, held_bytes: int | None = None) -> int:
    """What the likely peak may be after an edit, for a run that ran out of `total_bytes`.

    `held_bytes` is what it held or asked for in the end, at least. A prediction that it proved too low is taken to be
    too low by the same factor after the edit.
    """
    likely = found.peak_device_bytes.likely_bytes
    proven = total_bytes if held_bytes is None else total_bytes * likely // max(held_bytes, likely, 1)
    return min(proven, round(MIN_SAVING * likely))


def edits_for(
    bench: Bench, workload: Workload, largest: int | None, editable: Collection[str] | None = None
) -> list[Edit]:
    """The first three that fit, in the order of what they cost; where fewer do, the rest come nearest.

    `largest` is the largest batch that fits, `editable` the fields that may be changed; null for all.
    """
    changes = [
        (change, reason)
        for change, reason in _proposals(workload, largest)
        if (editable is None or change.keys() <= set(editable))
        and (largest is not None or _weights_fit(_changed(workload, change), bench.total_bytes))
    ]
    vain = [each for each in changes if _is_vain(each[0], bench, workload, largest)]
    edits = (_tried(bench, workload, *each) for each in changes if each not in vain)
    models: Iterator[Edit | None] = iter(())
    if editable is None or {"model", "batch_size"} <= set(editable):
        models = _other_models(bench, workload)
    tried: list[Edit] = []
    for edit in filter(None, chain(edits, models)):
        tried.append(edit)
        if sum(edit.fits for edit in tried) == MAX_EDITS:
            break
    else:
        more = (_tried(bench, workload, *each) for each in vain[: max(0, MAX_EDITS - len(tried))])
        tried += filter(None, more)
    tried.sort(key=lambda edit: (not edit.fits, 0 if edit.fits else edit.peak_device_bytes.likely_bytes))
    return tried[:MAX_EDITS]


def _tried(bench: Bench, workload: Workload, change: Change, reason: str) -> Edit | None:
    """Null where the card cannot take the steps: a T4 has no kernels in bfloat16 for some models."""
    changed = _changed(workload, change)
    try:
        fits = bench.taken(changed).limited is not None
    except StepsRefusedError:
        return None
    peak = bench.prediction(changed).peak_device_bytes
    return Edit(change=change, reason=reason, peak_device_bytes=peak, fits=fits)


def _is_vain(change: Change, bench: Bench, workload: Workload, largest: int | None) -> bool:
    """Whether a change surely saves too little, which need not be tried."""
    if largest is None:
        return False
    if change.keys() == {"precision"}:
        # A number takes half at best, so no more than twice the images fit.
        return workload.batch_size > 2 * largest
    if change.keys() == {"optimizer"}:
        found = bench.prediction(workload)
        saved_bytes = found.parts.optimizer_state_bytes + found.parts.temporary_bytes if found.parts else 0
        return found.peak_allocated_bytes - saved_bytes > bench.total_bytes
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
            yield change, "The same images per step, in smaller passes; batch norm uses the smaller passes."
    if workload.precision == "float32":
        yield {"precision": "bfloat16"}, "Activations of convolutions and matrix products take half."
    if not workload.checkpointing:
        yield (
            {"checkpointing": True},
            "Blocks keep only their inputs and compute the rest twice; a step takes about a third longer.",
        )
    if workload.optimizer in {"adam", "adamw"}:
        yield (
            {"optimizer": "sgd_momentum"},
            "One number of state per parameter instead of two; needs its own learning rate.",
        )
    if workload.optimizer != "sgd":
        yield {"optimizer": "sgd"}, "No state at all; needs its own learning rate."
    if workload.precision == "float32" and not workload.checkpointing:
        yield {"precision": "bfloat16", "checkpointing": True}, "Both changes together."
    for share in (2, 4):
        smaller = workload.image_size // share // 32 * 32
        if smaller >= 32 and _valid(workload, {"image_size": smaller}):
            yield _smaller_images(workload, smaller, largest)


def _other_models(bench: Bench, workload: Workload) -> Iterator[Edit | None]:
    """Smaller models that fit, the nearest first, with fewer images if need be; the last resort."""
    names = [model for model in smaller_models(workload.model) if _valid(workload, {"model": model})]
    for model in names:
        with suppress(StepsRefusedError):
            yield _smaller_model(bench, workload, model)


def _smaller_model(bench: Bench, workload: Workload, model: str) -> Edit | None:
    """Null where not even one image fits. Raises `StepsRefusedError`."""
    change: Change = {"model": model}
    smaller = _changed(workload, change)
    if not _weights_fit(smaller, bench.total_bytes):
        return None
    if bench.taken(smaller).limited is not None:
        return _tried(bench, workload, change, "A smaller model; its accuracy differs.")
    largest = bench.explored(smaller)[1].batch_size
    reason = "A smaller model, and the largest batch that then fits."
    return None if largest is None else _tried(bench, workload, change | {"batch_size": largest}, reason)


def _weights_fit(workload: Workload, memory_bytes: int) -> bool:
    """Whether weights, gradients and optimizer state alone do."""
    parameters = sum(each.numel() for each in blank_model(workload).parameters())
    copies = 2 + STATE_COPIES[workload.optimizer]
    return parameters * copies * 4 <= memory_bytes


def _drastic(workload: Workload) -> Iterator[tuple[Change, str]]:
    """For a workload of which not one image fits: what saves the most, with next to no images."""
    few: Change = {"batch_size": FEW} if workload.batch_size > FEW else {}
    halved: Change = {"precision": "bfloat16"} if workload.precision == "float32" else {}
    again: Change = {} if workload.checkpointing else {"checkpointing": True}
    stateless: Change = {} if workload.optimizer == "sgd" else {"optimizer": "sgd"}
    if again:
        yield (
            {**few, **halved, **again},
            "The fewest activations: few images, half precision, and blocks that compute twice.",
        )
    if stateless:
        yield {**few, **stateless}, "No state of the optimizer; needs its own learning rate."
    if again and stateless:
        yield {**few, **halved, **again, **stateless}, "All changes together."
    smaller = workload.image_size // 4 // 32 * 32
    if smaller >= 32 and _valid(workload, {"image_size": smaller}):
        yield {**few, "image_size": smaller}, "Activations shrink with the area, 16 times or more."


def _smaller_images(workload: Workload, smaller: int, largest: int) -> tuple[Change, str]:
    """Smaller images, and fewer of them where they alone would not do."""
    shrinks = (workload.image_size / smaller) ** 2
    reason = f"Activations shrink with the area, {shrinks:.1f} times"
    # What does not shrink is counted as if it did, and a little is left for the allocator's jumps.
    room = int(SHARE_OF_THE_ROOM * largest * shrinks)
    if room >= workload.batch_size:
        return {"image_size": smaller}, f"{reason}."
    return {"image_size": smaller, "batch_size": room}, f"{reason}; and the largest batch that then fits."


def _valid(workload: Workload, change: Change) -> bool:
    try:
        _changed(workload, change)
    except ValueError:
        return False
    return True


def _changed(workload: Workload, change: Change) -> Workload:
    return Workload.model_validate({**workload.model_dump(), **change})
