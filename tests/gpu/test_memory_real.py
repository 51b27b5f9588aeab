"""Prediction, limits and explanations against a real caching allocator."""

import json
from pathlib import Path

import pytest
import torch

from experiments.catalog.max_batch import run as max_batch
from experiments.catalog.max_batch.spec import MaxBatchSpec
from experiments.catalog.max_batch.spec import workload as workload_of_batch
from experiments.catalog.model_memory.spec import EXPERIMENT, ModelMemorySpec
from experiments.hosting.run_directory import RunDirectory
from experiments.memory import postmortem, snapshot
from experiments.memory.contract import Workload
from experiments.memory.devices import GPUS, known_model
from experiments.memory.predictor import predict
from experiments.memory.processes import call
from experiments.training.first_steps import FirstSteps

pytestmark = pytest.mark.gpu
MIB = 1 << 20


@pytest.mark.parametrize("optimizer", ["sgd_momentum", "adam"])
@pytest.mark.parametrize("model", ["resnet18", "vit_b_32"])
def test_peaks_are_the_predicted_ones(tmp_path: Path, model: str, optimizer: str) -> None:
    workload = Workload.model_validate({"model": model, "batch_size": 16, "optimizer": optimizer})
    step = max_batch.real_step(workload, 16, RunDirectory(tmp_path, device="cuda"))
    assert step.peak_allocated_bytes is not None
    assert step.peak_reserved_bytes is not None
    found = call(predict, workload, GPUS[known_model(torch.cuda.get_device_name()) or "A100-40GB"])
    # This process has a history, which shifts blocks a little; on a real card cuDNN may choose other plans.
    assert step.peak_allocated_bytes == pytest.approx(found.peak_allocated_bytes, rel=0.05)
    assert step.peak_reserved_bytes == pytest.approx(found.peak_reserved_bytes, rel=0.1)


def test_largest_batch_is_confirmed_by_real_steps_within_its_cap(tmp_path: Path) -> None:
    spec = MaxBatchSpec(image_size=64, gpu=None, memory_bytes=2048 * MIB)
    result = max_batch.run(spec, RunDirectory(tmp_path, device="cuda"))
    assert result.reason is None
    assert result.confirmed_batch_size is not None
    assert result.largest_batch_size is not None
    assert 0.7 <= result.confirmed_batch_size / result.largest_batch_size <= 1.4
    held = [step.peak_reserved_bytes for step in result.real_steps if step.peak_reserved_bytes is not None]
    assert max(held) <= spec.budget_bytes


def test_out_of_memory_under_a_cap_is_explained(tmp_path: Path) -> None:
    # The model, its gradients to come and 16 images leave room for the first layers' activations, not for all.
    cap = 256 * MIB
    torch.cuda.set_per_process_memory_fraction(cap / torch.cuda.get_device_properties(0).total_memory)
    spec = MaxBatchSpec(image_size=224)
    try:
        with pytest.raises(torch.OutOfMemoryError) as caught:
            max_batch.peaks_of_steps(workload_of_batch(spec).model_copy(update={"batch_size": 16}), "cuda")
        found = postmortem.explain(caught.value, EXPERIMENT, ModelMemorySpec(), phase=None, reserved_for_run=cap)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert (found.device, found.phase) == ("cuda", "forward")
    assert found.module is not None
    assert found.reserved_bytes is not None
    assert found.reserved_bytes <= cap
    assert found.inside_reservation is False
    assert any(tensor.kind == "activation" for tensor in found.largest_tensors)


def test_snapshot_at_the_peak_is_kept_as_json_with_python_frames(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path, device="cuda")
    closely = FirstSteps(run)
    layer = torch.nn.Linear(1024, 1024, device="cuda")
    for _ in range(2):
        closely.begin("forward")
        output = layer(torch.ones(4096, 1024, device="cuda"))
        closely.begin("backward")
        output.sum().backward()
        closely.end_step()
    run.close()
    found = json.loads((tmp_path / "artifacts" / snapshot.AT_THE_PEAK).read_text())
    assert found["allocated_bytes"] >= 2 * 16 * MIB
    assert any("test_memory_real.py" in frame for block in found["blocks"] for frame in block["frames"])
