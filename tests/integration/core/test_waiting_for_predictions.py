"""A job waits for the prediction of its memory as long as somebody is at work on any, and no longer."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from celery import Celery
from sqlalchemy import Engine, func, insert, select, update

from models import Estimate, Job, Node
from models.settings import SchedulerSettings
from models.statements import leases, nodes, queue
from models.statements.memory import estimates
from models.tables.estimate import PROGRAM
from models.tables.program import Program
from scheduler.estimates import Estimates
from scheduler.planning.room import GpuRoom, NodeRoom
from scheduler.reservations import Reservations, SortedOut
from tests.integration.core.questions import put
from tests.predictions import prediction, verdict

Execute = Callable[..., list[Any]]
GIB = 2**30
KEY = f"T4/{16 * GIB}"
WAIT_SECONDS = 20.0
LONG_AGO = func.now() - func.make_interval(0, 0, 0, 0, 1)


@pytest.fixture
def estimate_id(execute: Execute) -> UUID:
    return asked(execute)


@pytest.fixture
def job_id(execute: Execute, make_job: Callable[..., UUID], node: str, estimate_id: UUID) -> UUID:
    """A job that was submitted an hour ago to a node that has run for two."""
    made = make_job(gpus=None, estimate_id=estimate_id)
    execute(update(Job).values(submitted_at=LONG_AGO))
    execute(update(Node).where(Node.name == node).values(started_at=LONG_AGO - func.make_interval(0, 0, 0, 0, 1)))
    return made


@pytest.fixture
def sort(engine: Engine, database_url: str) -> Callable[[], SortedOut]:
    def look() -> SortedOut:
        return looker(engine)()

    return look


def looker(engine: Engine) -> Callable[[], SortedOut]:
    """A scheduler that keeps what it knows from one look to the next."""
    settings: Any = SimpleNamespace(estimate_wait_seconds=WAIT_SECONDS)
    reservations = Reservations(settings)

    def look() -> SortedOut:
        room = NodeRoom("n1", 1, frozenset(), gpus=[GpuRoom("GPU-1", 16 * GIB, model="T4")])
        with engine.begin() as connection:
            rows = connection.execute(queue.waiting()).all()
            now = connection.execute(select(func.extract("epoch", func.now()))).scalar_one()
            return reservations.of(connection, rows, [room], float(now))

    return look


def asked(execute: Execute, software: str = "") -> UUID:
    made = uuid4()
    wanted = {KEY: {"name": "T4", "total_bytes": 16 * GIB}}
    question = {"id": made, "family": "resnet", "software": software, "workload": {}, "editable": [], "wanted": wanted}
    execute(put(question))
    return made


def claimed(execute: Execute, estimate_id: UUID, lease_seconds: float = 60) -> UUID:
    token: UUID = execute(estimates.claim(estimate_id, node="n1", lease_seconds=lease_seconds))[0]["token"]
    return token


def test_nobody_at_work_for_long_lets_it_take_a_whole_gpu_and_says_so(
    job_id: UUID, sort: Callable[[], SortedOut]
) -> None:
    found = sort()
    assert [row.id for row in found.rows] == [job_id]
    assert found.unpredicted == {job_id: "no worker started on it within 20 s"}


@pytest.mark.usefixtures("job_id")
def test_worker_that_has_just_started_is_waited_for(execute: Execute, node: str, sort: Callable[[], SortedOut]) -> None:
    execute(nodes.join({"name": node, "slots": 1, "datasets": [], "versions": {}, "gpu_reason": None}))
    assert len(sort().estimating) == 1


def test_worker_that_is_at_another_question_is_waited_for(
    execute: Execute, job_id: UUID, sort: Callable[[], SortedOut]
) -> None:
    other = asked(execute, "other")
    token = claimed(execute, other)
    assert [row.id for row in sort().estimating] == [job_id]
    execute(estimates.answer(other, token, prediction={}, fits={}))
    assert [row.id for row in sort().estimating] == [job_id], "it was at work a moment ago"
    execute(update(Estimate).where(Estimate.id == other).values(finished_at=LONG_AGO))
    assert sort().estimating == []


def test_worker_that_died_over_it_is_not_waited_for(
    execute: Execute, estimate_id: UUID, job_id: UUID, sort: Callable[[], SortedOut]
) -> None:
    claimed(execute, estimate_id)
    assert len(sort().estimating) == 1
    execute(update(Estimate).values(expires_at=LONG_AGO))
    assert list(sort().unpredicted) == [job_id]


def test_prediction_that_failed_is_the_reason(
    execute: Execute, estimate_id: UUID, job_id: UUID, sort: Callable[[], SortedOut]
) -> None:
    execute(estimates.fail(estimate_id, claimed(execute, estimate_id), "batch norm needs two images"))
    assert sort().unpredicted == {job_id: "batch norm needs two images"}
    grant = leases.grant(job_id, node="n1", gpu_uuids=[], reserved_bytes=None, lease_seconds=60, remark=", because")
    assert execute(grant)


def test_young_job_waits_whoever_works(execute: Execute, job_id: UUID, sort: Callable[[], SortedOut]) -> None:
    execute(update(Job).values(submitted_at=func.now()))
    assert [row.id for row in sort().estimating] == [job_id]


def test_setting_is_the_schedulers() -> None:
    assert SchedulerSettings.model_fields["estimate_wait_seconds"].default == WAIT_SECONDS


@pytest.fixture
def program_job(execute: Execute, job_id: UUID, estimate_id: UUID) -> UUID:
    """The same, of a student's program."""
    sha256 = "0" * 64
    execute(insert(Program).values(sha256=sha256, size_bytes=1, file_count=1, manifest=[]))
    spec = {"program": sha256, "command": ["python", "a.py"]}
    execute(update(Estimate).values(family=PROGRAM, workload={"experiment": "script", "spec": spec}))
    execute(update(Job).where(Job.id == job_id).values(experiment="script", spec=spec))
    return job_id


def test_program_that_is_being_measured_is_waited_for_only_so_long(
    execute: Execute, program_job: UUID, estimate_id: UUID, sort: Callable[[], SortedOut]
) -> None:
    claimed(execute, estimate_id)
    assert sort().unpredicted == {program_job: "its program was not measured within 20 s"}
    execute(update(Job).values(submitted_at=func.now()))
    assert [row.id for row in sort().estimating] == [program_job]


def test_programs_verdict_is_reserved_with_a_margin_until_a_run_disproves_it(
    execute: Execute, make_job: Callable[..., UUID], program_job: UUID, estimate_id: UUID, engine: Engine
) -> None:
    peak = {"low_bytes": 4 * GIB, "likely_bytes": 4 * GIB, "high_bytes": 4 * GIB}
    fits = {KEY: verdict(peak, certain=False)}
    execute(estimates.answer(estimate_id, claimed(execute, estimate_id), prediction=prediction(peak), fits=fits))
    look = looker(engine)
    assert look().reserved == {program_job: pytest.approx(4 * GIB * 1.15, abs=2)}

    failed = make_job(estimate_id=estimate_id, gpus=1)
    spec = {"program": "0" * 64, "command": ["python", "a.py"]}
    ended = {
        "state": "failed",
        "cause": "out_of_memory",
        "attempt": 1,
        "started_at": func.now(),
        "finished_at": func.now(),
    }
    execute(update(Job).where(Job.id == failed).values(experiment="script", spec=spec, **ended))
    found = look()
    assert found.reserved == {}
    assert found.unpredicted == {program_job: "a run of this program ran out of memory with the predicted reservation"}


def test_program_that_no_node_can_run_is_refused(
    engine: Engine, execute: Execute, node: str, program_job: UUID, estimate_id: UUID
) -> None:
    celery = Bells()
    settings: Any = SimpleNamespace(ring_again_seconds=0, lease_seconds=60)
    ringing = Estimates(settings, engine, cast("Celery", celery))
    execute(update(Node).values(heartbeat_at=func.now(), stopped_at=None))
    ringing.ring()
    assert celery.rung == [(node, [str(estimate_id), True])]
    workload = {"experiment": "script", "spec": {"program": "0" * 64, "datasets": ["flowers"]}}
    execute(update(Estimate).values(workload=workload))
    ringing.ring()
    assert execute(select(Estimate.state, Estimate.reason))[0] == {
        "state": "failed",
        "reason": f"node {node} does not have the data set 'flowers'",
    }


def test_node_that_cannot_run_programs_is_not_rung(
    engine: Engine, execute: Execute, node: str, program_job: UUID, estimate_id: UUID
) -> None:
    celery = Bells()
    settings: Any = SimpleNamespace(ring_again_seconds=0, lease_seconds=60)
    refused = {"script": "bubblewrap is not installed"}
    execute(update(Node).values(heartbeat_at=func.now(), stopped_at=None, refused_experiments=refused))
    able = {"name": "n2", "slots": 1, "datasets": [], "versions": {}, "gpu_reason": None}
    execute(nodes.join(able))
    ringing = Estimates(settings, engine, cast("Celery", celery))
    ringing.ring()
    assert celery.rung == [("n2", [str(estimate_id), True])]
    execute(nodes.leave("n2"))
    ringing.ring()
    (row,) = execute(select(Estimate.state, Estimate.reason))
    assert (row["state"], row["reason"]) == ("failed", "bubblewrap is not installed")


class Bells:
    """Celery, as far as a message is sent."""

    def __init__(self) -> None:
        self.rung: list[tuple[str, list[Any]]] = []

    def send_task(self, _task: str, *, args: list[Any], queue: str, **_: Any) -> None:
        self.rung.append((queue.removeprefix("node."), args))
