"""Advice on an out-of-memory is asked for with the verdict and given with the answer, whichever comes first."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, insert, select

from gpulab.states import FailureCause, JobState
from models import Estimate, Gpu, Job, JobEvent
from models.statements import leases
from models.statements.memory import estimates
from tests.integration.core.questions import put
from worker.runs import advice

Execute = Callable[..., list[Any]]
MIB = 2**20
INTERVAL = {"low_bytes": 1, "likely_bytes": 2, "high_bytes": 3}
KEY = f"Tesla T4/{100 * MIB}/outgrown by {210 * MIB}"
EDIT = {"change": {"batch_size": 4}, "reason": "It fits.", "peak_device_bytes": INTERVAL, "fits": True}
FIT = {"peak_device_bytes": INTERVAL, "edits": [EDIT]}
FAILURE = {
    "limit_bytes": 100 * MIB + 5,
    "process_used_bytes": 210 * MIB + 7,
    "edits": [],
    "reasons": {"edits": "later", "module": "none"},
}


@pytest.fixture
def estimate_id(execute: Execute) -> UUID:
    made = uuid4()
    question = {"family": "resnet", "software": "", "workload": {}, "editable": [], "wanted": {}}
    execute(put({"id": made, **question}))
    answer(execute, made, {})
    return made


@pytest.fixture
def out_of_memory(engine: Engine, execute: Execute, make_job: Callable[..., UUID], node: str) -> Callable[..., UUID]:
    """A job of the estimate that ran out of memory on a T4; its verdict is written as a worker does."""
    described = {"name": "Tesla T4", "memory_total_bytes": 1, "healthy": True, "reason": None, "latest": {}}
    execute(insert(Gpu).values(uuid="GPU-1", node=node, index=0, **described))

    def fail(estimate_id: UUID | None) -> UUID:
        job_id = make_job(gpus=1, estimate_id=estimate_id)
        grant = leases.grant(job_id, node=node, gpu_uuids=["GPU-1"], reserved_bytes=MIB, lease_seconds=60)
        token = execute(grant)[0]["token"]
        execute(leases.claim(job_id, token, actor="node:n1", lease_seconds=60))
        with engine.begin() as connection:
            failure, asked = advice.seek(connection, token, FAILURE)
            cause = FailureCause.OUT_OF_MEMORY
            connection.execute(
                leases.finish(token, JobState.FAILED, actor="node:n1", message="out", cause=cause, failure=failure)
            )
            if asked is not None:
                advice.attach(connection, asked, actor="node:n1")
        return job_id

    return fail


def answer(execute: Execute, estimate_id: UUID, fits: dict[str, Any]) -> UUID:
    token: UUID = execute(estimates.claim(estimate_id, node="n1", lease_seconds=60))[0]["token"]
    execute(estimates.answer(estimate_id, token, prediction={"peak_device_bytes": INTERVAL}, fits=fits))
    return token


def job(execute: Execute, job_id: UUID) -> Any:
    return execute(select(Job.failure, Job.message, Job.version).where(Job.id == job_id))[0]


def advised(found: Any) -> bool:
    return bool(
        found["failure"]["edits"][0]["change"] == {"batch_size": 4}
        and found["failure"]["predicted_peak_bytes"] == 2
        and found["failure"]["reasons"] == {"module": "none"}
        and found["message"] == "out; batch_size=4 would fit"
    )


def test_advice_follows_the_verdict(
    engine: Engine, execute: Execute, estimate_id: UUID, out_of_memory: Callable[..., UUID]
) -> None:
    job_id = out_of_memory(estimate_id)
    before = job(execute, job_id)
    assert before["failure"]["edits"] == []
    (asked,) = execute(select(Estimate.wanted, Estimate.state))
    assert asked["state"] == "pending"
    assert asked["wanted"][KEY] == {
        "name": "Tesla T4", "total_bytes": 100 * MIB, "constants": None, "outgrown": True,
        "held_bytes": 210 * MIB,
    }  # fmt: skip
    assert [row["id"] for row in execute(estimates.due(60))] == [estimate_id], "a worker is told"

    answer(execute, estimate_id, {KEY: FIT})
    with engine.begin() as connection:
        advice.attach(connection, estimate_id, actor="node:n1")
        advice.attach(connection, estimate_id, actor="node:n1")
    after = job(execute, job_id)
    assert advised(after)
    assert after["version"] == before["version"] + 1, "given once"
    events = [row["type"] for row in execute(select(JobEvent.type).where(JobEvent.job_id == job_id))]
    assert events.count("job.advised") == 1


def test_advice_that_is_known_is_given_at_once(
    execute: Execute, estimate_id: UUID, out_of_memory: Callable[..., UUID]
) -> None:
    out_of_memory(estimate_id)
    answer(execute, estimate_id, {KEY: FIT})
    assert advised(job(execute, out_of_memory(estimate_id)))
    assert execute(estimates.due(60)) == []


def test_job_without_a_prediction_says_why_it_is_not_advised(
    execute: Execute, out_of_memory: Callable[..., UUID]
) -> None:
    found = job(execute, out_of_memory(None))["failure"]
    assert found["reasons"]["edits"] == found["reasons"]["predicted_peak_bytes"] == advice.NO_ESTIMATE


def test_gpu_that_refuses_the_step_gives_its_reason_for_advice(
    execute: Execute, estimate_id: UUID, out_of_memory: Callable[..., UUID]
) -> None:
    out_of_memory(estimate_id)
    answer(execute, estimate_id, {KEY: {"verdict": "not_predicted", "peak_device_bytes": None, "reason": "refused"}})
    after = job(execute, out_of_memory(estimate_id))
    assert after["message"] == "out"
    assert after["failure"]["reasons"] == {"module": "none", "edits": "refused", "predicted_peak_bytes": "refused"}
