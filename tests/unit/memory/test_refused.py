"""A card that cannot take the steps answers for itself: not predicted, with the reason, while the others answer."""

import pytest

from experiments.internal.memory_estimate.run import run
from experiments.internal.memory_estimate.spec import MemoryEstimateResult, MemoryEstimateSpec
from experiments.memory.contract import Workload
from experiments.memory.devices import GPUS, GpuAsked
from experiments.memory.predictor import judge, predict
from experiments.memory.processes import StepsRefusedError, call
from gpulab.schemas.memory import Verdict

REFUSED_BY_T4 = Workload(model="convnext_tiny", batch_size=2, precision="bfloat16", image_size=32)
"""cuDNN has no plan in bfloat16 for a convolution in groups on a T4."""


def asked(*names: str) -> MemoryEstimateResult:
    gpus = [GpuAsked(name=name, total_bytes=GPUS[name].usable_bytes) for name in names]
    return run(MemoryEstimateSpec(workload=REFUSED_BY_T4, gpus=gpus), None)  # type: ignore[arg-type]


def test_card_that_refuses_the_step_says_so_and_the_others_answer() -> None:
    t4, a100 = (found := asked("T4", "A100-40GB")).gpus
    assert (t4.verdict, t4.certain, t4.edits) == (Verdict.NOT_PREDICTED, False, [])
    assert (t4.peak_device_bytes, t4.peak_allocated_bytes, t4.parts, t4.max_batch_size) == (None,) * 4
    assert t4.reason is not None
    assert t4.reason.startswith("PyTorch refuses the step on an emulated T4: RuntimeError: ")
    assert t4.constants.source == "default"
    assert (a100.verdict, a100.reason) == (Verdict.FITS, None)
    assert a100.max_batch_size is not None
    assert found.prediction.card == "A100-40GB"
    assert found.prediction.peak_allocated_bytes == a100.peak_allocated_bytes


@pytest.mark.parametrize("names", [(), ("T4", "V100-16GB")])
def test_where_every_card_asked_for_refuses_another_one_is_typical(names: tuple[str, ...]) -> None:
    found = asked(*names)
    assert [gpu.verdict for gpu in found.gpus] == [Verdict.NOT_PREDICTED] * len(names)
    assert found.prediction.card == "A100-40GB"


@pytest.mark.timeout(20)
def test_estimate_for_that_card_alone_fails_without_a_wait_and_gives_the_reason() -> None:
    """Nothing waits for the memory of a run that failed: its error holds it."""
    with pytest.raises(StepsRefusedError, match=r"^PyTorch refuses the step on an emulated T4: RuntimeError: "):
        call(predict, REFUSED_BY_T4)


def test_edit_that_the_card_refuses_is_not_proposed() -> None:
    workload = REFUSED_BY_T4.model_copy(update={"precision": "float32", "batch_size": 4096, "image_size": 64})
    gpu = GpuAsked(name="T4", total_bytes=2 << 30)
    found = call(judge, workload, gpu, ["precision", "batch_size", "checkpointing"])
    assert found.verdict is Verdict.FITS_UP_TO
    assert found.edits
    assert not any("precision" in edit.change for edit in found.edits)
