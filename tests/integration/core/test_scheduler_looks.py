"""One look of the scheduler, against a real database."""

from collections.abc import Callable
from threading import Event
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, func, select, text, update

from models import Job, Lease, Node
from models.settings import SchedulerSettings
from models.statements import nodes
from scheduler.clock import Jump
from scheduler.loop import GRANTS_BATCH_SIZE, Scheduler

Execute = Callable[..., list[Any]]
MANY = 3 * GRANTS_BATCH_SIZE


@pytest.fixture
def scheduler(engine: Engine, database_url: str, redis_url: str) -> Scheduler:
    settings = SchedulerSettings(
        database_url=database_url, redis_url=redis_url, artifacts_url="file:///none", lease_seconds=60
    )
    return Scheduler(settings, engine, Event())


def test_first_of_many_is_rung_for_before_the_last_is_leased(
    scheduler: Scheduler, execute: Execute, make_job: Callable[..., UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    execute(nodes.join({"name": "n1", "slots": MANY, "datasets": [], "versions": {}, "gpu_reason": "none"}))
    jobs = {make_job() for _ in range(MANY)}
    rung: list[tuple[UUID, int]] = []

    def ring(_node: str, job_id: UUID, _token: UUID) -> None:
        rung.append((job_id, execute(select(func.count()).select_from(Lease))[0]["count"]))

    monkeypatch.setattr(scheduler, "_ring", ring)
    scheduler.schedule(explain=False)
    assert {job_id for job_id, _ in rung} == jobs
    assert rung[0][1] == GRANTS_BATCH_SIZE
    assert rung[-1][1] == MANY
    scheduler.schedule(explain=True)
    assert len(rung) == MANY, "nothing is leased twice"


def test_jobs_of_a_machine_that_slept_are_not_lost_before_its_worker_is_awake(
    scheduler: Scheduler, execute: Execute, make_lease: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, _ = make_lease(lease_seconds=-3600)
    monkeypatch.setattr(scheduler._clock, "look", lambda *_: Jump(0.0, 28_800.0))
    scheduler.watch_clock()
    scheduler.rescue()
    assert execute(select(Job.lost_attempts).where(Job.id == job_id))[0]["lost_attempts"] == 0
    scheduler._rescue_from = 0.0
    scheduler.rescue()
    assert execute(select(Job.lost_attempts).where(Job.id == job_id))[0]["lost_attempts"] == 1, "it stayed silent"


def test_what_was_written_while_the_clock_was_ahead_does_not_hold_until_then(
    scheduler: Scheduler, execute: Execute, make_lease: Callable[..., Any], node: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_lease(lease_seconds=28_800)
    ahead = func.now() + text("interval '8 hours'")
    execute(update(Node).values(heartbeat_at=ahead, fault="gpu_xid", fault_at=ahead, fault_until=ahead))
    monkeypatch.setattr(scheduler._clock, "look", lambda *_: Jump(-28_800.0, 0.0))
    scheduler.watch_clock()
    (left,) = execute(select(Lease.expires_at - func.now()))
    assert left["anon_1"].total_seconds() <= 60
    (row,) = execute(select(Node.heartbeat_at <= func.now(), Node.fault_until - func.now(), Node.untaken_at))
    assert row["anon_1"]
    assert row["anon_2"].total_seconds() <= 300
    assert row["untaken_at"] is None


def test_nothing_is_deleted_for_its_age_after_the_clock_was_set_forward(
    scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch, execute: Execute, node: str
) -> None:
    rung: list[bool] = []
    ring = "scheduler.retention.ring_for_retention"
    monkeypatch.setattr(ring, lambda _celery, **given: rung.append(given["only_deleted"]))
    monkeypatch.setattr(scheduler._clock, "look", lambda *_: Jump(1e7, 0.0))
    scheduler.watch_clock()
    scheduler._retention.ring()
    assert rung == []
    monkeypatch.setattr(scheduler._retention, "_due", 0.0)
    monkeypatch.setattr(scheduler._retention, "_look_at", 0.0)
    scheduler._retention.ring()
    assert rung == [False]
