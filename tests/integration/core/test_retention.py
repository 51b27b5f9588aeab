"""What is old is deleted with an event, once, and neither what is young nor what was handed in."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest
from celery import Celery
from obstore.store import LocalStore
from sqlalchemy import Engine, func, insert, select, update

import scheduler.retention
import worker.retention
from models import (
    Artifact,
    Assignment,
    Checkpoint,
    DeletedFile,
    Extension,
    Grade,
    Job,
    JobEvent,
    LogChunk,
    MetricChunk,
    SampleChunk,
    Study,
    StudyRun,
    Submission,
)
from models.settings import NodeSettings
from models.statements import nodes
from models.tables.program import Program, ProgramUpload, store_key
from scheduler.retention import Retention as RingForRetention
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
    found = {"samples": 3, "logs": 2, "checkpoints": 4, "artifacts": 1}
    assert swept == {**dict.fromkeys(swept, 0), **found}
    assert [len(left(execute, job)) for job in jobs] == [4, 3, 2, 1, 0]
    keys = {entry["path"] for page in store.list() for entry in page}
    assert f"{jobs[4]}-a" not in keys
    assert f"{jobs[0]}-c" in keys
    told = execute(select(JobEvent.message).where(JobEvent.job_id == jobs[4], JobEvent.type == "job.pruned"))
    assert len(told) == 4
    assert "365 days" in " ".join(row["message"] for row in told)
    assert set(retention.sweep().values()) == {0}


@pytest.fixture
def forgetful(retention: Retention, engine: Engine, store: LocalStore) -> Retention:
    """Of a lab that keeps metrics for 20 days and results for 50."""
    settings = retention._settings.model_copy(update={"keep_metrics_days": 20.0, "keep_results_days": 50.0})
    return Retention(settings, engine, store)


def with_results(execute: Execute, store: LocalStore, job: UUID, *, days_ago: float) -> UUID:
    ended(execute, store, job, days_ago=days_ago)
    execute(update(Job).where(Job.id == job).values(result={"loss": 1.0}))
    chunk = {"attempt": 1, "name": "loss", "steps": [1], "times": [1.0], "values": [0.5]}
    execute(insert(MetricChunk).values(job_id=job, **chunk))
    return job


def results_left(execute: Execute, job: UUID) -> tuple[bool, bool]:
    """Whether the metrics and the result of a job are there."""
    metrics = execute(select(MetricChunk.id).where(MetricChunk.job_id == job))
    return bool(metrics), execute(select(Job.result).where(Job.id == job))[0]["result"] is not None


def test_metrics_and_results_go_when_the_lab_says_so_and_the_run_tells(
    execute: Execute, make_job: Callable[..., UUID], store: LocalStore, retention: Retention, forgetful: Retention
) -> None:
    young, older, old = (with_results(execute, store, make_job(), days_ago=days) for days in (10, 30, 60))
    retention.sweep()
    assert results_left(execute, old) == (True, True)
    swept = forgetful.sweep()
    assert (swept["metrics"], swept["results"]) == (2, 1)
    assert [results_left(execute, job) for job in (young, older, old)] == [(True, True), (False, True), (False, False)]
    removed = execute(select(Job.removed).where(Job.id == old))[0]["removed"]
    assert removed.keys() == {"metrics", "result", "checkpoint"}
    assert datetime.fromisoformat(removed["metrics"]).tzinfo is not None
    assert set(forgetful.sweep().values()) == {0}


def test_runs_for_an_open_assignment_keep_metrics_and_results(
    execute: Execute, make_job: Callable[..., UUID], owner: UUID, store: LocalStore, forgetful: Retention
) -> None:
    given: dict[str, Any] = {"templates": [], "tolerance": 0.1, "experiments": [], "questions": []}
    week, day = func.make_interval(0, 0, 1), func.make_interval(0, 0, 0, 1)
    assignments = {
        "open": {"deadline": func.now() + week, "experiments": ["opens"]},
        "late": {"deadline": func.now() - week, "late_days": 30, "experiments": ["lates"]},
        "unlimited": {"deadline": func.now() - 300 * day, "experiments": ["unlimiteds"]},
        "past": {"deadline": func.now() - 400 * day, "experiments": ["pasts"]},
        "over": {"deadline": func.now() - week, "late_days": 0, "experiments": ["overs"]},
        "extended": {"deadline": func.now() - week, "late_days": 0, "experiments": ["extends"]},
        "studied": {"deadline": func.now() + week, "questions": ["1b"]},
    }
    ids = {
        name: execute(insert(Assignment).values(name=name, **{**given, **more}).returning(Assignment.id))[0]["id"]
        for name, more in assignments.items()
    }
    later = {"assignment_id": ids["extended"], "section": "A", "deadline": func.now() + week}
    execute(insert(Extension).values(**later))
    jobs = {
        name: with_results(execute, store, make_job(experiment=name), days_ago=90)
        for name in ("opens", "lates", "unlimiteds", "pasts", "overs", "extends", "asked", "other")
    }
    study = execute(insert(Study).values(owner_id=owner, title="s", definition={}).returning(Study.id))[0]["id"]
    run = {"study_id": study, "position": 0, "cell": {}, "reused": False, "questions": ["1b"]}
    execute(insert(StudyRun).values(job_id=jobs["asked"], **run))
    forgetful.sweep()
    kept = {name for name, job in jobs.items() if results_left(execute, job) == (True, True)}
    gone = {name for name, job in jobs.items() if results_left(execute, job) == (False, False)}
    assert (kept, gone) == ({"opens", "lates", "unlimiteds", "extends", "asked"}, {"pasts", "overs", "other"})


def test_bytes_of_deleted_runs_go_and_one_that_stays_is_tried_again(
    execute: Execute, store: LocalStore, retention: Retention
) -> None:
    for key in ("here", "stuck/below"):
        store.put(key, b"x")
    execute(insert(DeletedFile).values([{"key": "here"}, {"key": "gone"}, {"key": "stuck"}]))
    assert retention.sweep(only_deleted=True) == {"deleted_files": 2, "programs": 0}
    assert execute(select(DeletedFile.key)) == [{"key": "stuck"}]
    assert [entry["path"] for page in store.list() for entry in page] == ["stuck/below"]


def test_bytes_that_the_store_refuses_hold_up_no_others(
    execute: Execute, store: LocalStore, retention: Retention, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker.retention, "FILES_BATCH_SIZE", 1)
    store.put("a/below", b"x")
    execute(insert(DeletedFile).values([{"key": "a"}, {"key": "b"}, {"key": "c"}]))
    assert retention.sweep(only_deleted=True)["deleted_files"] == 2
    assert execute(select(DeletedFile.key)) == [{"key": "a"}]


def test_deletions_are_swept_soon_and_the_whole_lab_only_now_and_then(
    engine: Engine, execute: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute(nodes.join({"name": "n1", "slots": 1, "datasets": [], "versions": {}, "gpu_reason": None}))
    celery = Bells()
    settings: Any = SimpleNamespace(lease_seconds=60, retention_hours=1)
    ringing = RingForRetention(settings, engine, cast("Celery", celery))
    now = [1_000.0]
    monkeypatch.setattr(scheduler.retention, "time", SimpleNamespace(monotonic=lambda: now[0]))
    rung = []
    for seconds, keys in ((0, []), (61, []), (61, ["x"]), (61, ["y"]), (3600, [])):
        now[0] += seconds
        for key in keys:
            execute(insert(DeletedFile).values(key=key))
        ringing.ring()
        rung.append([arguments for _, arguments in celery.rung])
        celery.rung.clear()
    assert rung == [[[False]], [], [[True]], [[True]], [[False]]]


class Bells:
    """Celery, as far as a message is sent."""

    def __init__(self) -> None:
        self.rung: list[tuple[str, list[Any]]] = []

    def send_task(self, task: str, *, args: list[Any], **_: Any) -> None:
        self.rung.append((task, args))


def test_program_of_a_deleted_user_is_deleted_by_the_next_sweep(
    execute: Execute, make_job: Callable[..., UUID], store: LocalStore, retention: Retention
) -> None:
    for sha256 in ("1" * 64, "2" * 64):
        execute(insert(Program).values(sha256=sha256, size_bytes=1, file_count=1, manifest=[]))
        store.put(store_key(sha256), b"x")
    execute(update(Job).where(Job.id == make_job()).values(experiment="script", spec={"program": "2" * 64}))
    assert retention.sweep()["programs"] == 1
    assert execute(select(Program.sha256)) == [{"sha256": "2" * 64}]


def test_run_that_was_handed_in_or_graded_and_one_under_way_keep_everything(
    execute: Execute, make_job: Callable[..., UUID], owner: UUID, store: LocalStore, retention: Retention
) -> None:
    job = ended(execute, store, make_job(), days_ago=1000)
    given = {"name": "hw", "templates": [], "questions": [], "experiments": [], "tolerance": 0.1}
    made = insert(Assignment).values(**given, deadline=func.now()).returning(Assignment.id)
    assignment = execute(made)[0]["id"]
    execute(insert(Submission).values(assignment_id=assignment, user_id=owner, job_id=job))
    graded = ended(execute, store, make_job(), days_ago=1000)
    grade = {"assignment_id": assignment, "user_id": owner, "grader_id": owner, "points": 1.0}
    execute(insert(Grade).values(**grade, job_id=graded))
    running = ended(execute, store, make_job(), days_ago=1000)
    execute(update(Job).where(Job.id == running).values(state="running", finished_at=None))
    assert set(retention.sweep().values()) == {0}
    assert [len(left(execute, each)) for each in (job, graded, running)] == [4, 4, 4]


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
