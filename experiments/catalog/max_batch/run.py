"""The largest batch of a training step that fits into a memory, without ever running out of it on the way.

Claim, by prediction alone (torch 2.14.1): ResNet-18 with ten classes at 224 pixels, SGD with momentum, on a T4, of
whose 15,360 MiB a program can have 14,899: 451 pictures; 444 by the high end of the prediction, 464 by its low end.
Blocks of a step are linear in the batch, so two traces give every batch size, and each probe of the search replays a
trace through a model of the caching allocator.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from experiments.catalog.max_batch.spec import End, MaxBatchResult, MaxBatchSpec, Probe, RealStep, workload
from experiments.contract import Run, Stopped
from experiments.memory.advice import LARGEST_BATCH_SIZE, max_batch
from experiments.memory.comparing import own_gpu
from experiments.memory.contract import Workload
from experiments.memory.devices import DRIVERS_SHARE, Gpu, gpu_named
from experiments.memory.estimate import estimate
from experiments.memory.measured import take_step
from experiments.memory.scaling import TraceFamily
from experiments.memory.step import STEPS, new_model
from experiments.training.memory import NO_GPU
from experiments.training.optimizers import build_optimizer

MAX_REAL_STEPS = 8
LEARNING_RATE = 1e-3
MARGINS = (0.8, 0.9, 1.0, 1.1, 1.25)
"""Batch sizes around the answer, for the picture."""

Takes = Callable[[int], RealStep]


def run(spec: MaxBatchSpec, run: Run) -> MaxBatchResult:
    """Search by prediction, then confirm where there is a GPU. Raises `Stopped`."""
    run.progress(0.0, f"tracing {spec.model}")
    gpu = _gpu(spec, run)
    search = Search(workload(spec), gpu, spec.budget_bytes)
    likely = max_batch(search.workload, spec.budget_bytes, gpu, search.family)
    run.progress(0.3, "searching")
    certain = None if likely is None else search.largest("high_bytes", 1, likely)
    possible = search.largest("low_bytes", likely or 1, LARGEST_BATCH_SIZE)
    for share in MARGINS if likely else ():
        search.probe(max(2, round(share * (likely or 0))))
    reason = _why_not_confirmed(spec, run, likely)
    steps: list[RealStep] = []
    if reason is None and likely is not None:
        run.progress(0.6, "taking real steps")
        with _capped(spec.budget_bytes, gpu.context.likely_bytes):
            steps = confirm(lambda size: real_step(search.workload, size, run), likely)
    fitted = [step.batch_size for step in steps if step.fits]
    run.progress(1.0, "done")
    return MaxBatchResult(
        memory_bytes=spec.budget_bytes,
        largest_batch_size=likely,
        certain_batch_size=certain,
        possible_batch_size=possible,
        probes=search.probes,
        real_steps=steps,
        confirmed_batch_size=max(fitted, default=None),
        reason=reason,
    )


def _gpu(spec: MaxBatchSpec, run: Run) -> Gpu:
    """The GPU in question, by what was measured of it where it is the run's own."""
    own, asked = own_gpu(run), gpu_named(spec.gpu)
    return own if own is not None and (spec.gpu is None or own.name == asked.name) else asked


class Search:
    """Predictions of one workload at any batch size, each made once."""

    def __init__(self, workload: Workload, gpu: Gpu, memory_bytes: int) -> None:
        self.workload = workload
        self._gpu = gpu
        self.family = TraceFamily(workload, cublas_workspace_bytes=gpu.cublas_workspace_bytes)
        self._memory_bytes = memory_bytes
        self._known: dict[int, Probe] = {}

    @property
    def probes(self) -> list[Probe]:
        """What was predicted, by batch size."""
        return [self._known[size] for size in sorted(self._known)]

    def probe(self, batch_size: int) -> Probe:
        """The prediction at a batch size."""
        if batch_size not in self._known:
            sized = self.workload.model_copy(update={"batch_size": batch_size})
            found = estimate(sized, self._gpu, self.family)
            self._known[batch_size] = Probe(
                batch_size=batch_size,
                peak_allocated_bytes=found.peak_allocated_bytes,
                peak_reserved_bytes=found.peak_reserved_bytes,
                peak_device=found.peak_device,
            )
        return self._known[batch_size]

    def largest(self, end: End, low: int, high: int) -> int | None:
        """A batch that fits by this end of its prediction while the next one does not; None where `low` does not.

        Steps double away from `low` before they are halved, so that no probe is far beyond the answer.
        """
        try:
            if not self._fits(low, end):
                return None
        except ValueError:
            # Batch norm cannot normalise a single picture whose maps are one pixel large.
            return self.largest(end, low + 1, high) if low < high else None
        stride = 1
        while low + stride <= high and self._fits(low + stride, end):
            low, stride = low + stride, 2 * stride
        beyond = min(low + stride, high + 1)
        while beyond - low > 1:
            middle = (low + beyond) // 2
            low, beyond = (middle, beyond) if self._fits(middle, end) else (low, middle)
        return low

    def _fits(self, batch_size: int, end: End) -> bool:
        size: int = getattr(self.probe(batch_size).peak_device, end)
        return size <= self._memory_bytes


def confirm(takes: Takes, predicted: int) -> list[RealStep]:
    """Real steps from the prediction on: down while they do not fit, up while they do, then between the two."""
    taken: list[RealStep] = []
    good, bad, size = 0, LARGEST_BATCH_SIZE + 1, predicted
    stride = max(1, predicted // 32)
    while len(taken) < MAX_REAL_STEPS and good < size < bad:
        taken.append(takes(size))
        good, bad = (size, bad) if taken[-1].fits else (good, size)
        if good and bad <= LARGEST_BATCH_SIZE:
            size = (good + bad) // 2
        else:
            size = size + stride if taken[-1].fits else size - stride
            stride *= 2
        size = max(size, 1)
    return taken


def real_step(workload: Workload, batch_size: int, run: Run) -> RealStep:
    """Two steps on the run's device; running out of memory is an answer, and leaves nothing behind."""
    if run.should_stop():
        raise Stopped("asked to stop between two real steps")
    peaks: tuple[int, int] | None
    try:
        peaks = _peaks_of_steps(workload.model_copy(update={"batch_size": batch_size}), run.device)
    except torch.OutOfMemoryError:
        peaks = None
    gc.collect()
    if run.device == "cuda":
        torch.cuda.empty_cache()
    allocated, reserved = peaks or (None, None)
    return RealStep(
        batch_size=batch_size,
        fits=peaks is not None,
        peak_allocated_bytes=allocated or None,
        peak_reserved_bytes=reserved or None,
    )


def _peaks_of_steps(workload: Workload, device: str) -> tuple[int, int]:
    """Peaks of allocated and reserved bytes, 0 without a GPU. Its locals die with it, before the cache is emptied."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    model = new_model(workload, device)
    optimizer = build_optimizer(workload.optimizer, model.parameters(), LEARNING_RATE)
    shape = (workload.batch_size, 3, workload.image_size, workload.image_size)
    images_BCHW = torch.rand(shape, device=device)
    labels_B = torch.zeros(workload.batch_size, dtype=torch.int64, device=device)
    for _ in range(STEPS):
        take_step(workload, model, optimizer, images_BCHW, labels_B)
    if device != "cuda":
        return 0, 0
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()


def _why_not_confirmed(spec: MaxBatchSpec, run: Run, likely: int | None) -> str | None:
    if not spec.confirm:
        return "it was not asked for"
    if run.device != "cuda":
        return NO_GPU
    if likely is None:
        return "no batch fits by prediction"
    total = torch.cuda.get_device_properties(0).total_memory
    # Somebody may have asked by what `nvidia-smi` shows, of which torch does not count the driver's part.
    enough = (1 - DRIVERS_SHARE) * spec.budget_bytes <= total
    return None if enough else f"the run's GPU has {total} bytes, less than was asked for"


@contextmanager
def _capped(budget_bytes: int, context_bytes: int) -> Iterator[None]:
    """Let torch refuse what goes beyond, so that no neighbour ever finds the device full."""
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(max(0, min(budget_bytes, total) - context_bytes) / total)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
