"""The prediction and its verdicts, from steps on emulated cards."""

from experiments.contract import Run
from experiments.internal.memory_estimate.spec import MemoryEstimateResult, MemoryEstimateSpec
from experiments.memory.predictor import predict_and_judge
from experiments.memory.processes import call


def run(spec: MemoryEstimateSpec, run: Run) -> MemoryEstimateResult:  # noqa: ARG001 - nothing to report on the way
    """Raises `ValueError` for a workload that no machine could run, and `NotPredictedError`."""
    prediction, verdicts = call(predict_and_judge, spec.workload, spec.gpus, spec.editable)
    return MemoryEstimateResult(prediction=prediction, gpus=verdicts)
