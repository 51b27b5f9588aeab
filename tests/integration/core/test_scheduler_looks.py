"""One look of the scheduler, against a real database."""

from collections.abc import Callable
from threading import Event
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, func, select

from models import Lease
from models.settings import SchedulerSettings
from models.statements import nodes
from scheduler.loop import GRANTS_BATCH_SIZE, Scheduler

Execute = Callable[..., list[Any]]
MANY = 3 * GRANTS_BATCH_SIZE


@pytest.fixture
def scheduler(engine: Engine, database_url: str) -> Scheduler:
    settings = SchedulerSettings(
        database_url=database_url, redis_url="redis://127.0.0.1:1", artifacts_url="file:///none", lease_seconds=60
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
