"""The scheduler keeps GPUs for lab hours, and knows whose jobs may use them."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from threading import Event
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, insert, select, update

from api.users import statements as users
from models import Assignment, Checkpoint, Gpu, Job, LabHours, Lease, User
from models.settings import SchedulerSettings
from models.statements import leases, nodes
from scheduler.loop import Scheduler

Execute = Callable[..., list[Any]]
GIB = 2**30


@pytest.fixture
def scheduler(engine: Engine, database_url: str, redis_url: str) -> Scheduler:
    settings = SchedulerSettings(
        database_url=database_url, redis_url=redis_url, artifacts_url="file:///none", lease_seconds=60
    )
    return Scheduler(settings, engine, Event())


@pytest.fixture
def gpus(execute: Execute) -> tuple[str, str]:
    execute(nodes.join({"name": "n1", "slots": 2, "datasets": [], "versions": {}, "gpu_reason": None}))
    described = {"name": "Test", "memory_total_bytes": GIB, "healthy": True, "reason": None, "latest": {}}
    for index in range(2):
        execute(insert(Gpu).values(uuid=f"GPU-{index}", node="n1", index=index, **described))
    return "GPU-0", "GPU-1"


@pytest.fixture
def other(execute: Execute) -> UUID:
    found: UUID = execute(users.ensure_user("other", "student"))[0]["id"]
    return found


def keep(execute: Execute, owner: UUID, *, minutes: float, gpus: int = 1, **given: Any) -> UUID:
    """Lab hours that begin in so many minutes, for two hours."""
    start = (datetime.now(UTC) + timedelta(minutes=minutes)).replace(tzinfo=None)
    values = {
        "name": "lab",
        "gpus": gpus,
        "local_start": start,
        "local_end": start + timedelta(hours=2),
        "time_zone": "UTC",
        "give_back_minutes": 15,
        "created_by": owner,
        **given,
    }
    found: UUID = execute(insert(LabHours).values(**values).returning(LabHours.id))[0]["id"]
    return found


def state(execute: Execute, job_id: UUID) -> tuple[str, str | None]:
    row = execute(select(Job.state, Job.wait_reason).where(Job.id == job_id))[0]
    return row["state"], row["wait_reason"]


@pytest.mark.parametrize(("minutes", "kept"), [(10, True), (-10, True), (61, False), (-20, False), (-121, False)])
def test_job_of_others_waits_while_gpus_are_kept(
    scheduler: Scheduler,
    execute: Execute,
    make_job: Callable[..., UUID],
    owner: UUID,
    other: UUID,
    gpus: tuple[str, str],
    minutes: float,
    kept: bool,
) -> None:
    keep(execute, owner, minutes=minutes, gpus=2, user_ids=[owner])
    job = make_job(owner_id=other, gpus=1, time_limit_seconds=3600)
    scheduler.schedule(explain=True)
    assert state(execute, job) == (("queued", "lab_hours") if kept else ("leased", None))


@pytest.mark.parametrize("of", ["section", "assignment", "users", "section and assignment"])
def test_jobs_of_those_for_whom_they_are_start(
    scheduler: Scheduler,
    execute: Execute,
    make_job: Callable[..., UUID],
    owner: UUID,
    other: UUID,
    gpus: tuple[str, str],
    of: str,
) -> None:
    execute(update(User).where(User.id == owner).values(section="A"))
    work = {"name": "HW", "deadline": datetime(2099, 1, 1, tzinfo=UTC), "templates": [], "questions": []}
    made = insert(Assignment).values(**work, experiments=["probe"], tolerance=0).returning(Assignment.id)
    assignment = execute(made)[0]["id"]
    audience: dict[str, Any] = {"user_ids": [owner]} if of == "users" else {}
    audience |= {"section": "A"} if "section" in of else {}
    audience |= {"assignment_id": assignment} if "assignment" in of else {}
    keep(execute, owner, minutes=-1, gpus=2, **audience)
    theirs = make_job(gpus=1)
    elsewhere = make_job(owner_id=other, gpus=1, experiment="other")
    scheduler.schedule(explain=True)
    assert (state(execute, theirs)[0], state(execute, elsewhere)) == ("leased", ("queued", "lab_hours"))


def test_guest_with_a_checkpoint_gives_way_and_is_told_for_whom(
    scheduler: Scheduler,
    execute: Execute,
    make_job: Callable[..., UUID],
    owner: UUID,
    other: UUID,
    gpus: tuple[str, str],
) -> None:
    keep(execute, owner, minutes=-1, gpus=1, user_ids=[owner])
    guests = [make_job(owner_id=other, gpus=1, time_limit_seconds=86_400) for _ in gpus]
    for guest, gpu in zip(guests, gpus, strict=True):
        row = execute(leases.grant(guest, node="n1", gpu_uuids=[gpu], reserved_bytes=None, lease_seconds=60))[0]
        assert execute(leases.claim(guest, row["token"], actor="node:n1", lease_seconds=60))
    stored = {"attempt": 1, "step": 1, "recorded_time": 0.0, "name": "c", "key": "k", "size_bytes": 1}
    execute(insert(Checkpoint).values(job_id=guests[0], **stored))
    make_job(gpus=1)
    scheduler.schedule(explain=True)
    asked = execute(select(Lease.job_id).where(Lease.yield_requested_at.is_not(None)))
    assert [row["job_id"] for row in asked] == guests[:1]


def test_kept_gpus_are_written_down_also_while_no_job_waits(
    scheduler: Scheduler, execute: Execute, owner: UUID, gpus: tuple[str, str]
) -> None:
    soon = keep(execute, owner, minutes=30, user_ids=[owner], weekly_until=date(2099, 1, 1))
    far = keep(execute, owner, minutes=60 * 24 * 20, user_ids=[owner])
    scheduler.schedule(explain=True)
    scheduler.keep_for_lab_hours()
    kept = {row["id"]: row["kept"] for row in execute(select(LabHours.id, LabHours.kept))}
    assert kept[far] == {}
    assert list(kept[soon].values()) == [["GPU-0"], ["GPU-0"]]
