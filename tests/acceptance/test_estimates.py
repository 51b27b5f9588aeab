"""Predictions of GPU memory by a real lab: asked over HTTP, answered by a worker, whatever is killed meanwhile."""

from pathlib import Path
from typing import Any

import pytest

from experiments.catalog.model_memory.spec import ModelMemorySpec
from gpulab.schemas import EstimateRead
from tests.lab import Lab, wait_until

MIB = 2**20
QUESTION = {"experiment": "model-memory", "spec": {"model": "resnet18", "image_size": 64}, "gpus": ["T4"]}


def asked(lab: Lab, question: dict[str, Any], wait: float = 30) -> EstimateRead:
    answer = lab.client.post("/v1/estimates", params={"wait": wait}, json=question)
    assert answer.status_code == 200, answer.text
    return EstimateRead.model_validate_json(answer.content)


def test_estimate_is_split_by_cause_and_judged_for_a_named_gpu(lab: Lab) -> None:
    found = asked(lab, QUESTION)

    assert found.parts is not None
    assert found.peak_device_bytes is not None
    assert found.parts.parameters_bytes == 4 * 11_181_642
    interval = found.peak_device_bytes
    assert interval.low_bytes < interval.likely_bytes < interval.high_bytes
    inside = {name: value for name, value in found.parts.model_dump().items() if isinstance(value, int)}
    outside = found.parts.cuda_context.likely_bytes
    assert sum(inside.values()) == found.peak_reserved_bytes
    assert sum(inside.values()) + outside == interval.likely_bytes
    (verdict,) = [gpu for gpu in found.gpus if gpu.name == "T4"]
    assert (verdict.verdict, verdict.certain, verdict.in_lab, verdict.edits) == ("fits", True, False, [])
    assert verdict.max_batch_size is not None
    assert verdict.max_batch_size > 8


def test_too_large_a_batch_gets_three_edits_of_its_own_spec(lab: Lab) -> None:
    found = asked(lab, {**QUESTION, "spec": {"model": "resnet18", "batch_size": 4096, "optimizer": "adam"}})
    (verdict,) = found.gpus

    assert (verdict.verdict, verdict.certain) == ("fits_up_to", True)
    assert verdict.edits[0].change == {"batch_size": verdict.max_batch_size}
    assert len(verdict.edits) == 3
    assert {field for edit in verdict.edits for field in edit.change} <= ModelMemorySpec.model_fields.keys()


def test_question_of_any_student_is_answered_once(lab: Lab) -> None:
    first, second = asked(lab, QUESTION), asked(lab, QUESTION, wait=0)
    other = asked(lab, {**QUESTION, "gpus": ["T4", "A100-40GB"]})

    assert second == first
    assert other.id == first.id
    assert [gpu.name for gpu in other.gpus] == ["T4", "A100-40GB"]
    read = EstimateRead.model_validate_json(lab.client.get(f"/v1/estimates/{first.id}").content)
    assert read.peak_device_bytes == first.peak_device_bytes


def test_estimate_survives_a_killed_worker_and_a_flushed_redis(lab: Lab) -> None:
    def claimed() -> list[Path]:
        return list(lab.runs.glob("estimate-*"))

    # Some seconds of work: its edits are tried one by one.
    heavy = {"experiment": "model-memory", "spec": {"model": "resnet152", "batch_size": 1024}, "gpus": ["T4"]}
    pending = lab.client.post("/v1/estimates", json=heavy)
    assert pending.status_code == 202
    assert pending.headers["location"] == f"/v1/estimates/{pending.json()['id']}"
    wait_until(claimed, what="a claim")
    lab.kill("worker")
    lab.redis.stop()
    lab.redis.start()
    lab.start("worker")

    def state() -> str:
        found: str = lab.client.get(pending.headers["location"], params={"wait": 30}).json()["state"]
        return found

    assert wait_until(lambda: now if (now := state()) != "pending" else "", timeout_seconds=90) == "ready"
    wait_until(lambda: not claimed(), what="clean folders")


@pytest.mark.parametrize("experiment", ["dropout-linear", "dropout-cheating"])
def test_what_is_not_predicted_says_why(lab: Lab, experiment: str) -> None:
    found = asked(lab, {"experiment": experiment}, wait=0)

    assert (found.state, found.id, found.peak_device_bytes) == ("not_predicted", None, None)
    assert found.reason
