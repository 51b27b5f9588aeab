"""Predictions: two steps of a workload on an emulated card, and what they mean for a GPU.

These functions fork processes for the card: call them by `processes.call`.
"""

from collections.abc import Collection, Sequence

from experiments.memory.bench import Bench, Taken, predicted, unlimited_steps
from experiments.memory.contract import Workload
from experiments.memory.devices import TYPICAL, Gpu, GpuAsked, gpu_of_device, models_called
from experiments.memory.edits import edits_for, lowered
from experiments.memory.largest import Largest
from experiments.memory.processes import CORES, each
from experiments.memory.step import prepare
from gpulab.schemas.memory import GpuVerdict, Prediction, Verdict


def predict(workload: Workload, gpu: Gpu = TYPICAL) -> Prediction:
    """What a GPU with enough memory shows. Raises `ValueError` for a workload that no machine could run."""
    prepare(workload)
    return predicted(unlimited_steps(workload, gpu.card), gpu.card, gpu.context)


def predict_and_judge(
    workload: Workload, gpus: Sequence[GpuAsked], editable: Collection[str]
) -> tuple[Prediction, list[GpuVerdict]]:
    """What a typical GPU shows, and a verdict for each of those asked for. Raises as `predict`."""
    prepare(workload)
    max_parallel = max(1, CORES // max(len(gpus), 1))
    found = list(each(_judged, [(workload, gpu, editable, max_parallel) for gpu in gpus]))
    verdicts = [verdict for verdict, _ in found]
    typical = (prediction for _, prediction in found if prediction.card == TYPICAL.card)
    return next(typical, None) or predict(workload), verdicts


def judge(workload: Workload, asked: GpuAsked, editable: Collection[str] | None = None) -> GpuVerdict:
    """Whether a workload fits into one GPU, and what would. `editable` names what may be changed; null for all."""
    return _judged(workload, asked, editable, CORES)[0]


def _judged(
    workload: Workload, asked: GpuAsked, editable: Collection[str] | None, max_parallel: int
) -> tuple[GpuVerdict, Prediction]:
    """The verdict, and what a typical GPU of the same card shows."""
    gpu = gpu_of_device(asked.name, asked.constants)
    total_bytes = gpu.room_of(asked.total_bytes)
    bench = Bench(gpu, total_bytes, max_parallel)
    taken = bench.taken(workload)
    if asked.outgrown:
        total_bytes = lowered(total_bytes, bench.prediction(workload), asked.held_bytes)
        bench = Bench(gpu, total_bytes, max_parallel, smooth=True)
        taken = bench.taken(workload)
    largest = bench.largest(workload)
    inside = taken.limited is not None
    models = models_called(asked.name)
    verdict = GpuVerdict(
        **dict(bench.prediction(workload)),
        name=asked.name,
        model=models[0] if len(models) == 1 else None,
        total_bytes=asked.total_bytes,
        verdict=_verdict(inside, largest),
        certain=_is_certain(taken, bench),
        max_batch_size=largest.batch_size,
        max_batch_size_without_retries=largest.without_retries,
        edits=[] if inside else edits_for(bench, workload, largest.batch_size, editable),
        constants=gpu.constants,
    )
    return verdict, predicted(taken.unlimited, gpu.card, TYPICAL.context)


def _verdict(inside: bool, largest: Largest) -> Verdict:
    if inside:
        return Verdict.FITS
    return Verdict.CANNOT_FIT if largest.batch_size is None else Verdict.FITS_UP_TO


def _is_certain(taken: Taken, bench: Bench) -> bool:
    context = bench.gpu.context
    if taken.limited is not None:
        return taken.unlimited.peak_reserved_bytes + context.high_bytes <= bench.total_bytes
    return taken.unlimited.peak_allocated_bytes + context.low_bytes > bench.total_bytes
