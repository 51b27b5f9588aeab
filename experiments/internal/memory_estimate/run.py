"""The prediction and its verdicts, from the traces of two batch sizes."""

from experiments.contract import Run
from experiments.internal.memory_estimate.spec import (
    ConstantsUsed,
    GpuAsked,
    GpuFit,
    MemoryEstimateResult,
    MemoryEstimateSpec,
)
from experiments.memory.advice import fits, lowered
from experiments.memory.devices import TYPICAL, Gpu, gpu_of_device, known_model
from experiments.memory.estimate import estimate
from experiments.memory.scaling import TraceFamily


def run(spec: MemoryEstimateSpec, run: Run) -> MemoryEstimateResult:  # noqa: ARG001 - nothing to report on the way
    """Raises `ValueError` for a workload that no machine could run."""
    family = TraceFamily(spec.workload, cublas_workspace_bytes=TYPICAL.cublas_workspace_bytes)
    found = estimate(spec.workload, family=family)
    return MemoryEstimateResult(estimate=found, gpus=[_fit(spec, gpu, family) for gpu in spec.gpus])


def _fit(spec: MemoryEstimateSpec, asked: GpuAsked, family: TraceFamily) -> GpuFit:
    gpu = gpu_of_device(asked.name, asked.constants)
    predicted = estimate(spec.workload, gpu, family)
    room = lowered(asked.total_bytes, predicted, asked.held_bytes) if asked.outgrown else asked.total_bytes
    found = fits(predicted, room, gpu=gpu, family=family, editable=frozenset(spec.editable))
    return GpuFit(
        name=asked.name,
        total_bytes=asked.total_bytes,
        constants=_used(gpu, known_model(asked.name)),
        peak_device=predicted.peak_device,
        verdict=found.verdict,
        certain=found.certain,
        max_batch_size=found.largest_batch_size,
        edits=found.edits,
    )


def _used(gpu: Gpu, model: str | None) -> ConstantsUsed:
    return ConstantsUsed(
        source="default" if gpu.measured is None else "measured",
        model=model,
        context=gpu.context,
        cublas_workspace_bytes=gpu.cublas_workspace_bytes,
        convolution_workspace_likely_bytes=gpu.convolution_scratch_likely_bytes,
        convolution_workspace_high_bytes=gpu.convolution_scratch_high_bytes,
        measured=gpu.measured,
    )
