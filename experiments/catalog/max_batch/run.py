"""The largest batch of a training step that fits into a memory, without ever running out of it on a real GPU.

Claim (torch 2.14.1): ResNet-18 with ten classes at 224 pixels, SGD with momentum, on a T4 of which a program can have
15,828,320,256 bytes, with a context of 450 MiB: 677 images, and 480 if no request has to be tried twice. PyTorch's own
allocator says so on an emulated T4: two steps at that batch find room, and two at the next do not.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from experiments.catalog.max_batch.spec import MaxBatchResult, MaxBatchSpec, Probe, RealStep, workload
from experiments.contract import Run, Stopped
from experiments.memory.bench import Room, explored, predicted, unlimited_steps
from experiments.memory.contract import Workload
from experiments.memory.devices import DRIVERS_SHARE, Gpu, gpu_named, gpu_of_run
from experiments.memory.largest import MAX_BATCH_SIZE, Largest
from experiments.memory.processes import call
from experiments.memory.step import ran_out_of_memory, take_steps
from experiments.training.memory import NO_GPU

MAX_REAL_STEPS = 8
MARGINS = (0.8, 0.9, 1.0, 1.1, 1.25)
"""Batch sizes around the answer, for the figure."""

Takes = Callable[[int], RealStep]


@dataclass(frozen=True, slots=True)
class Found:
    """What the emulated card says, for the likely context and for the ends of its interval."""

    likely: Largest
    certain: Largest
    """With the largest context."""
    possible: Largest
    """With the smallest context."""
    probes: list[Probe]


def run(spec: MaxBatchSpec, run: Run) -> MaxBatchResult:
    """Search on the emulated card, then confirm where there is a GPU. Raises `Stopped`."""
    run.progress(0.0, f"searching with {spec.model}")
    gpu, trained = _gpu(spec, run), workload(spec)
    found = call(search, trained, gpu, spec.budget_bytes)
    largest = found.likely.batch_size
    reason = _why_not_confirmed(spec, run, largest)
    steps: list[RealStep] = []
    if reason is None and largest is not None:
        run.progress(0.6, "taking real steps")
        with _capped(spec.budget_bytes, gpu.context.likely_bytes):
            steps = confirm(lambda size: real_step(trained, size, run), largest)
    fitted = [step.batch_size for step in steps if step.fits]
    run.progress(1.0, "done")
    return MaxBatchResult(
        memory_bytes=spec.budget_bytes,
        largest_batch_size=largest,
        largest_without_retries=found.likely.without_retries,
        certain_batch_size=found.certain.batch_size,
        possible_batch_size=found.possible.batch_size,
        probes=found.probes,
        real_steps=steps,
        confirmed_batch_size=max(fitted, default=None),
        reason=reason,
    )


def search(trained: Workload, gpu: Gpu, memory_bytes: int) -> Found:
    """The largest batches, and predictions around them. It forks processes for the emulated card."""
    context = gpu.context
    ends = (context.likely_bytes, context.high_bytes, context.low_bytes)
    likely, certain, possible = (
        explored(trained, Room(gpu.card, max(0, memory_bytes - outside)))[1] for outside in ends
    )
    sizes = {max(2, round(share * (likely.batch_size or 0))) for share in MARGINS if likely.batch_size}
    return Found(likely, certain, possible, [_probe(trained, gpu, size) for size in sorted(sizes)])


def _probe(trained: Workload, gpu: Gpu, batch_size: int) -> Probe:
    sized = trained.model_copy(update={"batch_size": batch_size})
    found = predicted(unlimited_steps(sized, gpu.card), gpu.card, gpu.context)
    return Probe(
        batch_size=batch_size,
        peak_allocated_bytes=found.peak_allocated_bytes,
        peak_reserved_bytes=found.peak_reserved_bytes,
        peak_device_bytes=found.peak_device_bytes,
    )


def _gpu(spec: MaxBatchSpec, run: Run) -> Gpu:
    """The GPU in question, by what was measured of it if it is the run's own."""
    own, asked = gpu_of_run(run.device, run.gpu_constants), gpu_named(spec.gpu)
    return own if run.device == "cuda" and (spec.gpu is None or own.name == asked.name) else asked


def confirm(takes: Takes, predicted: int) -> list[RealStep]:
    """Real steps from the prediction on: down while they do not fit, up while they do, then between the two."""
    taken: list[RealStep] = []
    good, bad, size = 0, MAX_BATCH_SIZE + 1, predicted
    stride = max(1, predicted // 32)
    while len(taken) < MAX_REAL_STEPS and good < size < bad:
        taken.append(takes(size))
        good, bad = (size, bad) if taken[-1].fits else (good, size)
        if good and bad <= MAX_BATCH_SIZE:
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
        peaks = peaks_of_steps(workload.model_copy(update={"batch_size": batch_size}), run.device)
    except RuntimeError as error:
        if not ran_out_of_memory(error):
            raise
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


def peaks_of_steps(workload: Workload, device: str) -> tuple[int, int]:
    """Peaks of allocated and reserved bytes, 0 without a GPU. Its locals die with it, before the cache is emptied."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    take_steps(workload, device)
    if device != "cuda":
        return 0, 0
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()


def _why_not_confirmed(spec: MaxBatchSpec, run: Run, likely: int | None) -> str | None:
    if not spec.confirm:
        return "the spec did not request it"
    if run.device != "cuda":
        return NO_GPU
    if likely is None:
        return "no batch fits by prediction"
    total = torch.cuda.get_device_properties(0).total_memory
    # Somebody may have asked by what `nvidia-smi` shows, of which torch does not count the driver's part.
    enough = (1 - DRIVERS_SHARE) * spec.budget_bytes <= total
    return None if enough else f"the run's GPU has {total} bytes, less than the spec requests"


@contextmanager
def _capped(budget_bytes: int, context_bytes: int) -> Iterator[None]:
    """Let torch refuse what goes beyond, so that no neighbour ever finds the device full."""
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(max(0, min(budget_bytes, total) - context_bytes) / total)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
