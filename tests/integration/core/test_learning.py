"""What a run took is kept beside what was predicted, and the margin follows."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, select, update

from models import Estimate, Gpu, MeasuredPeak, SampleChunk
from models.statements import leases
from models.statements.memory import estimates, peaks
from tests.integration.core.questions import put

Execute = Callable[..., list[Any]]
GIB = 2**30
PEAK = {"low_bytes": GIB, "likely_bytes": 2 * GIB, "high_bytes": 4 * GIB}
PREDICTION = {"peak_allocated_bytes": GIB, "peak_reserved_bytes": GIB, "peak_device_bytes": PEAK}


@pytest.fixture
def estimate_id(execute: Execute) -> UUID:
    made = uuid4()
    key = "Test GPU/80"
    question = {
        "id": made,
        "family": "resnet",
        "software": "torch 1",
        "workload": {},
        "editable": [],
        "wanted": {key: {"name": "Test GPU", "total_bytes": 80}},
    }
    execute(put(question))
    token = execute(estimates.claim(made, node="n1", lease_seconds=60))[0]["token"]
    execute(estimates.answer(made, token, prediction=PREDICTION, fits={key: {"peak_device_bytes": PEAK}}))
    return made


@pytest.fixture
def run_on_gpu(execute: Execute, make_job: Callable[..., UUID], node: str, estimate_id: UUID) -> Callable[..., UUID]:
    described = {"name": "Test GPU", "memory_total_bytes": 80, "healthy": True, "reason": None, "latest": {}}
    execute(insert(Gpu).values(uuid="GPU-1", node=node, index=0, **described))

    def run(values: dict[str, list[int | None]], reserved_bytes: int | None = GIB) -> UUID:
        job_id = make_job(gpus=1, estimate_id=estimate_id)
        execute(leases.grant(job_id, node=node, gpu_uuids=["GPU-1"], reserved_bytes=reserved_bytes, lease_seconds=60))
        count = len(next(iter(values.values())))
        execute(
            insert(SampleChunk).values(
                job_id=job_id,
                attempt=1,
                source="gpu",
                gpu_uuid="GPU-1",
                times=[float(n) for n in range(count)],
                values=values,
                reasons={},
            )
        )
        execute(peaks.measure(job_id))
        return job_id

    return run


def kept(execute: Execute) -> list[tuple[Any, ...]]:
    columns = (MeasuredPeak.family, MeasuredPeak.gpu, MeasuredPeak.predicted_likely_bytes, MeasuredPeak.device_bytes)
    return [tuple(row.values()) for row in execute(select(*columns))]


def test_peak_of_the_process_is_kept(execute: Execute, run_on_gpu: Callable[..., UUID]) -> None:
    run_on_gpu({"process_used_bytes": [None, GIB, 3 * GIB], "device_used_bytes": [9 * GIB] * 3})
    assert kept(execute) == [("resnet", "Test GPU", 2 * GIB, 3 * GIB)]


def test_device_counts_only_for_a_run_that_had_it_alone(execute: Execute, run_on_gpu: Callable[..., UUID]) -> None:
    run_on_gpu({"process_used_bytes": [None], "device_used_bytes": [9 * GIB]})
    assert kept(execute) == []
    run_on_gpu({"process_used_bytes": [None], "device_used_bytes": [3 * GIB]}, reserved_bytes=None)
    assert kept(execute) == [("resnet", "Test GPU", 2 * GIB, 3 * GIB)]


def test_run_on_a_gpu_without_a_prediction_teaches_nothing(
    execute: Execute, run_on_gpu: Callable[..., UUID], estimate_id: UUID
) -> None:
    refused = {"Test GPU/80": {"verdict": "not_predicted", "peak_device_bytes": None}}
    execute(update(Estimate).where(Estimate.id == estimate_id).values(fits=refused))
    run_on_gpu({"process_used_bytes": [GIB]})
    assert kept(execute) == []


def test_excess_is_known_by_family_and_gpu(execute: Execute, run_on_gpu: Callable[..., UUID]) -> None:
    for used in (2 * GIB, 3 * GIB):
        run_on_gpu({"process_used_bytes": [used]})
    (found,) = execute(peaks.excesses())
    assert (found["family"], found["gpu"], found["runs"]) == ("resnet", "Test GPU", 2)
    assert found["excess"] == pytest.approx(0.475)
