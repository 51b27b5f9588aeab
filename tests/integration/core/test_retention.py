"""What is old is deleted with an event, once, and neither what is young nor what was handed in."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from obstore.store import LocalStore
from sqlalchemy import Engine, func, insert, select, update

from models import Artifact, Assignment, Checkpoint, Job, JobEvent, LogChunk, SampleChunk, Submission
from models.settings import NodeSettings
from models.tables.program import Program, ProgramUpload, store_key
from worker.retention import Retention

Execute = Callable[..., list[Any]]
TABLES = (SampleChunk, LogChunk, Checkpoint, Artifact)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store", mkdir=True)


@pytest.fixture
def retention(database_url: str, tmp_path: Path, engine: Engine, store: LocalStore) -> Retention:
    settings = NodeSettings(
        database_url=database_url,
        redis_url="redis://",
        artifacts_url="file:///",
        node="n1",
        runs_folder=tmp_path,
        datasets_folder=tmp_path,
        cache_folder=tmp_path,
    )
    return Retention(settings, engine, store)


def ended(execute: Execute, store: LocalStore, job: UUID, *, days_ago: float) -> UUID:
    """Make the job one that succeeded then, and left something of everything."""
    then = func.now() - timedelta(days=days_ago)
    execute(update(Job).where(Job.id == job).values(state="succeeded", finished_at=then))
    own = {"job_id": job, "attempt": 1}
    execute(insert(SampleChunk).values(**own, source="host", times=[1.0], values={}, reasons={}))
    execute(insert(LogChunk).values(**own, start=0, data=b"text"))
    execute(insert(Checkpoint).values(**own, step=1, recorded_time=1.0, name="c", key=f"{job}-c", size_bytes=1))
    file = {"name": "a", "key": f"{job}-a", "size_bytes": 1, "sha256": "s", "media_type": "text/plain"}
    execute(insert(Artifact).values(**own, **file))
    for name in ("a", "c"):
        store.put(f"{job}-{name}", b"x")
    return job


def left(execute: Execute, job: UUID) -> list[str]:
    return [t.__tablename__ for t in TABLES if execute(select(t.job_id).where(t.job_id == job))]


def test_each_thing_goes_after_its_own_time(
    execute: Execute, make_job: Callable[..., UUID], store: LocalStore, retention: Retention
) -> None:
    ages = (1, 30, 100, 200, 400)
    jobs = [ended(execute, store, make_job(), days_ago=days) for days in ages]
    swept = retention.sweep()
    assert swept == {"samples": 3, "logs": 2, "checkpoints": 4, "artifacts": 1, "programs": 0, "gpu_minutes": 0}
    assert [len(left(execute, job)) for job in jobs] == [4, 3, 2, 1, 0]
    keys = {entry["path"] for page in store.list() for entry in page}
    assert f"{jobs[4]}-a" not in keys
    assert f"{jobs[0]}-c" in keys
    told = execute(select(JobEvent.message).where(JobEvent.job_id == jobs[4], JobEvent.type == "job.pruned"))
    assert len(told) == 4
    assert "365 days" in " ".join(row["message"] for row in told)
    assert set(retention.sweep().values()) == {0}


def test_run_that_was_handed_in_and_one_under_way_keep_everything(
    execute: Execute, make_job: Callable[..., UUID], owner: UUID, store: LocalStore, retention: Retention
) -> None:
    job = ended(execute, store, make_job(), days_ago=1000)
    given = {"name": "hw", "templates": [], "questions": [], "experiments": [], "tolerance": 0.1}
    made = insert(Assignment).values(**given, deadline=func.now()).returning(Assignment.id)
    assignment = execute(made)[0]["id"]
    execute(insert(Submission).values(assignment_id=assignment, user_id=owner, job_id=job))
    running = ended(execute, store, make_job(), days_ago=1000)
    execute(update(Job).where(Job.id == running).values(state="running", finished_at=None))
    assert set(retention.sweep().values()) == {0}
    assert [len(left(execute, each)) for each in (job, running)] == [4, 4]


def test_file_that_cannot_be_deleted_keeps_no_other(
    execute: Execute, make_job: Callable[..., UUID], store: LocalStore, retention: Retention
) -> None:
    stuck, other = (ended(execute, store, make_job(), days_ago=1000) for _ in range(2))
    store.delete(f"{stuck}-a")
    store.put(f"{stuck}-a/in-its-place", b"x")
    assert retention.sweep()["artifacts"] == 1
    assert left(execute, stuck) == ["artifacts"]
    assert left(execute, other) == []


def test_program_goes_when_nothing_uses_it_and_nobody_sent_it_lately(
    execute: Execute, make_job: Callable[..., UUID], store: LocalStore, retention: Retention
) -> None:
    old, young = (func.now() - timedelta(days=days) for days in (100, 80))
    job = make_job()
    owner = execute(select(Job.owner_id).where(Job.id == job))[0]["owner_id"]
    names = {name: digit * 64 for name, digit in zip(("unused", "sent", "new", "ran", "begins"), "12345", strict=True)}
    for name, sha256 in names.items():
        created = young if name == "new" else old
        execute(insert(Program).values(sha256=sha256, size_bytes=1, file_count=1, manifest=[], created_at=created))
        sent_at = young if name == "sent" else old
        execute(insert(ProgramUpload).values(user_id=owner, sha256=sha256, uploaded_at=sent_at))
        store.put(store_key(sha256), b"x")
    execute(update(Job).where(Job.id == job).values(experiment="script", spec={"program": names["ran"]}))
    starter = {"experiment": "script", "spec": {"program": names["begins"]}}
    lists = {"templates": [], "questions": [], "experiments": []}
    execute(insert(Assignment).values(name="One", deadline=func.now(), tolerance=0.0, starter=starter, **lists))
    assert retention.sweep()["programs"] == 1
    kept = sorted(set(names.values()) - {names["unused"]})
    assert sorted(row["sha256"] for row in execute(select(Program.sha256))) == kept
    assert sorted(entry["path"] for page in store.list() for entry in page) == [store_key(one) for one in kept]
