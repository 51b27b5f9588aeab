"""The prediction and its verdicts, from the traces of two batch sizes."""

from experiments.catalog.memory_estimate.spec import GpuAsked, GpuFit, MemoryEstimateResult, MemoryEstimateSpec
from experiments.contract import Run
from experiments.memory.advice import fits
from experiments.memory.devices import TYPICAL, known_model
from experiments.memory.estimate import estimate
from experiments.memory.scaling import TraceFamily


def run(spec: MemoryEstimateSpec, run: Run) -> MemoryEstimateResult:  # noqa: ARG001 - nothing to report on the way
    """Raises `ValueError` for a workload that no machine could run."""
    family = TraceFamily(spec.workload, cublas_workspace_bytes=TYPICAL.cublas_workspace_bytes)
    found = estimate(spec.workload, family=family)
    return MemoryEstimateResult(estimate=found, gpus=[_fit(spec, gpu, family) for gpu in spec.gpus])


def _fit(spec: MemoryEstimateSpec, gpu: GpuAsked, family: TraceFamily) -> GpuFit:
    model = known_model(gpu.name)
    found = fits(
        estimate(spec.workload, model, family), gpu.total_bytes, family=family, editable=frozenset(spec.editable)
    )
    return GpuFit(
        name=gpu.name,
        total_bytes=gpu.total_bytes,
        constants_of=model,
        peak_device=found.estimate.peak_device,
        verdict=found.verdict,
        certain=found.certain,
        max_batch_size=found.largest_batch_size,
        edits=found.edits,
    )
