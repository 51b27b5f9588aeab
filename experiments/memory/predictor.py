"""Predictions: two steps of a workload on an emulated card, and what they mean for a GPU. Each card answers for
itself: what one cannot compute, another may.

These functions fork processes for the card: call them by `processes.call`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import torch

from experiments.memory.bench import Bench, Explored, Room, Taken, explore, predicted, unlimited_steps
from experiments.memory.contract import Workload
from experiments.memory.devices import (
    SIZES,
    STAND_IN,
    TYPICAL,
    Gpu,
    GpuAsked,
    facts_of,
    gpu_of_device,
    nothing_predicted,
)
from experiments.memory.edits import edits_for, lowered
from experiments.memory.largest import Largest
from experiments.memory.processes import StepsRefusedError, each
from experiments.memory.step import prepare
from gpulab.schemas.memory import GpuVerdict, Prediction, Verdict

Judged = tuple[GpuVerdict, Prediction | None]


def predict(workload: Workload, gpu: Gpu = TYPICAL) -> Prediction:
    """What a GPU with enough memory shows. Raises `ValueError` for a workload that no machine could run."""
    prepare(workload)
    return predicted(unlimited_steps(workload, gpu.card), gpu.card, gpu.context)


def predict_and_judge(
    workload: Workload, gpus: Sequence[GpuAsked], editable: Collection[str]
) -> tuple[Prediction, list[GpuVerdict]]:
    """What a typical GPU shows, and a verdict for each of those asked for.

    Raises as `predict`, and `StepsRefusedError` where no card takes the steps.
    """
    prepare(workload)
    found = list(_all_judged(workload, gpus, editable))
    verdicts = [verdict for verdict, _ in found]
    by_card = {prediction.card: prediction for _, prediction in found if prediction is not None}
    return by_card.get(TYPICAL.card) or _typical(workload, by_card), verdicts


def _all_judged(workload: Workload, gpus: Sequence[GpuAsked], editable: Collection[str]) -> Iterator[Judged]:
    """A process for each GPU, and more where the workload does not fit."""
    known = each(_explored, [(workload, _bench(gpu).room) for gpu in gpus if not gpu.outgrown])
    asked = [(workload, gpu, editable, None if gpu.outgrown else next(known)) for gpu in gpus]
    further = each(_judged, [one for one in asked if not _is_whole(one[-1])])
    for one in asked:
        yield _judged(*one) if _is_whole(one[-1]) else next(further)


def _explored(workload: Workload, room: Room) -> Explored | str:
    """In a fresh process. Words where the card cannot take the steps."""
    try:
        return explore(workload, room)
    except StepsRefusedError as error:
        return str(error)


def _is_whole(known: Explored | str | None) -> bool:
    """Whether a verdict follows from it without further processes."""
    return isinstance(known, str) or (known is not None and known.fits)


def _typical(workload: Workload, others: Mapping[str, Prediction]) -> Prediction:
    """On the typical card; where that cannot take the steps, on another one."""
    try:
        return predict(workload)
    except StepsRefusedError:
        return next(iter(others.values()), None) or predict(workload, replace(TYPICAL, card=STAND_IN))


def judge(workload: Workload, asked: GpuAsked, editable: Collection[str] | None = None) -> GpuVerdict:
    """Whether a workload fits into one GPU, and what would. `editable` names what may be changed; null for all."""
    return _judged(workload, asked, editable)[0]


def _judged(
    workload: Workload, asked: GpuAsked, editable: Collection[str] | None, known: Explored | str | None = None
) -> Judged:
    """The verdict, and what a typical GPU of the same card shows; null where the card cannot take the steps."""
    try:
        if isinstance(known, str):
            raise StepsRefusedError(known)
        return _taken(workload, asked, editable, known)
    except StepsRefusedError as error:
        return nothing_predicted(asked, str(error), torch.__version__), None


def _bench(asked: GpuAsked) -> Bench:
    gpu = gpu_of_device(asked.name, asked.constants)
    return Bench(gpu, gpu.room_of(asked.total_bytes))


def _taken(
    workload: Workload, asked: GpuAsked, editable: Collection[str] | None, known: Explored | None
) -> tuple[GpuVerdict, Prediction]:
    """Raises `StepsRefusedError`."""
    bench = _bench(asked)
    if asked.outgrown:
        total_bytes = lowered(bench.total_bytes, bench.prediction(workload), asked.held_bytes)
        bench = Bench(bench.gpu, total_bytes, smooth=True)
    taken, largest = bench.explored(workload, known)
    inside = taken.limited is not None
    prediction = bench.prediction(workload)
    verdict = GpuVerdict(
        **facts_of(asked, torch.__version__),
        **{name: getattr(prediction, name) for name in SIZES},
        verdict=_verdict(inside, largest),
        certain=_is_certain(taken, bench),
        max_batch_size=largest.batch_size,
        max_batch_size_without_retries=largest.without_retries,
        edits=[] if inside else edits_for(bench, workload, largest.batch_size, editable),
    )
    return verdict, predicted(taken.unlimited, bench.gpu.card, TYPICAL.context)


def _verdict(inside: bool, largest: Largest) -> Verdict:
    if inside:
        return Verdict.FITS
    return Verdict.CANNOT_FIT if largest.batch_size is None else Verdict.FITS_UP_TO


def _is_certain(taken: Taken, bench: Bench) -> bool:
    context = bench.gpu.context
    if taken.limited is not None:
        return taken.unlimited.peak_reserved_bytes + context.high_bytes <= bench.total_bytes
    return taken.unlimited.peak_allocated_bytes + context.low_bytes > bench.total_bytes
