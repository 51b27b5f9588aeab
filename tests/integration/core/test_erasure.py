"""A user is anonymised or deleted in batches that can all be done again; the audit keeps no name."""

from collections.abc import Callable
from threading import Event
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import Engine, func, insert, select, text, update
from sqlalchemy.exc import ProgrammingError

from api.audit.statements import Origin, note
from api.erasure.statements import counts
from models import (
    Artifact,
    Assignment,
    AuditEvent,
    Base,
    BrowserSession,
    DeletedFile,
    Extension,
    Grade,
    Job,
    JobEvent,
    LabHours,
    MetricChunk,
    Notification,
    NotificationChannel,
    ProgramUpload,
    Study,
    StudyRun,
    Submission,
    Token,
    User,
)
from models.statements.erasure.runs import CHECK
from models.tables.courses import CourseMember
from models.tables.program import Program
from models.tables.study import REPORT_KEY
from scheduler.erasure.eraser import Eraser

Execute = Callable[..., list[Any]]
NAME, EMAIL = "Ada Lovelace", "ada@example.org"
SHA256 = "a" * 64

HANDLED = {
    "course_members.user_id",
    *("browser_sessions.user_id", "estimates.owner_id", "extensions.user_id", "grades.user_id", "jobs.owner_id"),
    *("notification_channels.user_id", "past_use.owner_id", "program_uploads.user_id", "shares.user_id"),
    *("studies.owner_id", "submissions.user_id", "tokens.user_id"),
}
KEEPS_A_PSEUDONYM = {"grades.grader_id", "lab_hours.created_by"}


def test_every_reference_to_a_user_is_thought_of() -> None:
    """A new one is deleted in `drop_own` of `models/statements/erasure/users.py`, or keeps the user by `is_needed`."""
    found = {
        f"{table.name}.{key.parent.name}"
        for table in Base.metadata.tables.values()
        for key in table.foreign_keys
        if key.column.table.name == "users"
    }
    assert found == HANDLED | KEEPS_A_PSEUDONYM


@pytest.fixture
def ada(execute: Execute) -> UUID:
    made = insert(User).values(name=NAME, email=EMAIL, role="student", section="A", team="red", openid_subject="x|y")
    found: UUID = execute(made.returning(User.id))[0]["id"]
    return found


@pytest.fixture
def eraser(engine: Engine) -> Eraser:
    return Eraser(engine, Event(), runs_batch_size=2)


def mark(execute: Execute, user_id: UUID, mode: str) -> None:
    execute(update(User).where(User.id == user_id).values(erasure=mode, disabled_at=func.now()))


def ended(execute: Execute, make_job: Callable[..., UUID], owner: UUID, **values: Any) -> UUID:
    job = make_job(owner_id=owner, **values)
    execute(update(Job).where(Job.id == job).values(state="succeeded", finished_at=func.now()))
    execute(update(JobEvent).where(JobEvent.job_id == job).values(actor=f"user:{NAME}"))
    chunk = {"attempt": 1, "name": "loss", "steps": [1], "times": [1.0], "values": [0.5]}
    execute(insert(MetricChunk).values(job_id=job, **chunk))
    file = {"name": "a", "key": f"{job}-a", "size_bytes": 1, "sha256": "s", "media_type": "text/plain"}
    execute(insert(Artifact).values(job_id=job, attempt=1, **file))
    return job


@pytest.fixture
def life(execute: Execute, make_job: Callable[..., UUID], ada: UUID, owner: UUID) -> dict[str, UUID]:
    """All that a user may have, and what others wrote of her."""
    runs = [ended(execute, make_job, ada, name=f"{NAME}'s run", note=f"ask {EMAIL}") for _ in range(5)]
    execute(update(Job).where(Job.id == runs[1]).values(retry_of=runs[0]))
    study = execute(
        insert(Study).values(owner_id=ada, title="Grid", name="lovelace's", definition={}).returning(Study.id)
    )[0]["id"]
    execute(insert(StudyRun).values(study_id=study, position=0, job_id=runs[2], questions=[], cell={}, reused=False))
    report = ended(execute, make_job, ada, idempotency_key=f"{REPORT_KEY}{study} 1", spec={"owner": NAME})
    execute(update(Study).where(Study.id == study).values(report_job_id=report))
    lists: dict[str, Any] = {"templates": [], "questions": [], "experiments": []}
    homework = insert(Assignment).values(name="hw", deadline=func.now(), tolerance=0.1, **lists)
    assignment = execute(homework.returning(Assignment.id))[0]["id"]
    again = ended(execute, make_job, owner)
    execute(insert(Submission).values(assignment_id=assignment, user_id=ada, job_id=runs[0], rerun_job_id=again))
    grade = {"assignment_id": assignment, "user_id": ada, "grader_id": owner, "points": 3.0}
    execute(insert(Grade).values(**grade, job_id=runs[0], comment=f"Well done, {NAME}!"))
    execute(insert(Extension).values(assignment_id=assignment, user_id=ada, deadline=func.now(), reason="ill"))
    execute(insert(Program).values(sha256=SHA256, size_bytes=1, file_count=1, manifest=[]))
    execute(insert(ProgramUpload).values(user_id=ada, sha256=SHA256, name=f"{NAME}.py"))
    token = execute(insert(Token).values(user_id=ada, name="laptop", digest=b"1").returning(Token.id))[0]["id"]
    execute(insert(BrowserSession).values(digest=b"2", user_id=ada, token_id=token, expires_at=func.now()))
    channel = {"user_id": ada, "channel": "webhook"}
    execute(insert(NotificationChannel).values(**channel, kinds=["failed"], webhook_url="https://hooks/secret"))
    execute(insert(Notification).values(**channel, kind="failed", job_id=runs[0]))
    execute(note(Origin(f"user:{NAME}", ada, "192.0.2.7", "r1"), "job.changed", f"job:{runs[0]}"))
    told = {"name": NAME, "email": EMAIL, "openid_subject": "x|y"}
    execute(note(Origin("user:someone", owner, "192.0.2.8"), "user.created", f"user:{ada}", told))
    former = {"email": "ada@home.example", "team": "blue", "section": "B", "role": "student"}
    execute(note(Origin("user:someone", owner), "user.changed", f"user:{ada}", former))
    execute(note(Origin("user:someone", owner), "job.note_changed", "job:1", {"before": [f"by {NAME}"]}))
    theirs = make_job(owner_id=owner, note=f"as {NAME.upper()} did; unlike Ada Lovelaces")
    return {"run": runs[0], "study": study, "theirs": theirs, "report": report, "again": again}


def everything(engine: Engine) -> str:
    """Every row of every table, as text."""
    with engine.begin() as connection:
        rows = [
            str(connection.execute(text(f'SELECT to_jsonb(t) FROM "{name}" t')).all())  # noqa: S608 - our own names
            for name in Base.metadata.tables
        ]
    return "\n".join(rows)


def test_anonymised_user_is_nowhere_by_name_and_their_work_stays(
    execute: Execute, engine: Engine, eraser: Eraser, ada: UUID, life: dict[str, UUID]
) -> None:
    mark(execute, ada, "anonymise")
    eraser.look()
    user = execute(select(*User.__table__.columns).where(User.id == ada))[0]
    pseudonym = f"user-{ada.hex[-12:]}"
    assert (user["name"], user["email"], user["erasure"]) == (pseudonym, None, None)
    assert user["anonymised_at"] is not None
    left = everything(engine).replace("Ada Lovelaces", "")
    assert [
        word
        for word in (NAME, EMAIL, "ada@home", "x|y", "192.0.2.7", "hooks", "laptop")
        if word.lower() in left.lower()
    ] == []
    assert len(execute(select(Job.id).where(Job.owner_id == ada))) == 5
    assert execute(select(CourseMember.role).where(CourseMember.user_id == ada)) == []
    assert len(execute(select(Submission.job_id))) == len(execute(select(Grade.id))) == 1
    assert execute(select(Grade.comment))[0]["comment"] == f"Well done, {pseudonym}!"
    assert execute(select(Job.note).where(Job.id == life["theirs"]))[0]["note"] == (
        f"as {pseudonym} did; unlike Ada Lovelaces"
    )
    assert execute(select(Job.id).where(Job.id == life["report"])) == []
    columns = (AuditEvent.actor, AuditEvent.actor_id, AuditEvent.address, AuditEvent.details)
    events = execute(select(*columns).order_by(AuditEvent.id))
    assert (events[0]["actor"], events[0]["actor_id"], events[0]["address"]) == (f"user:{pseudonym}", ada, None)
    assert (events[1]["details"], events[2]["details"]) == ({}, {"role": "student"})
    assert (events[1]["actor"], events[1]["address"]) == ("user:someone", "192.0.2.8")
    assert events[3]["details"] == {"before": [f"by {pseudonym}"]}


def test_deleted_user_takes_everything_along_and_others_keep_theirs(
    execute: Execute, engine: Engine, eraser: Eraser, ada: UUID, owner: UUID, life: dict[str, UUID]
) -> None:
    mark(execute, ada, "delete")
    eraser.look()
    assert execute(select(User.name)) == [{"name": "someone"}]
    for table in (Study, StudyRun, Submission, Grade, Extension, ProgramUpload, Token, Notification, MetricChunk):
        assert execute(select(func.count()).select_from(table))[0]["count"] == 0, table
    assert [row["id"] for row in execute(select(Job.id))] == [life["theirs"]]
    assert len(execute(select(DeletedFile.key))) == 7
    left = everything(engine).replace("Ada Lovelaces", "")
    assert [word for word in (NAME, EMAIL, "ada@home", "192.0.2.7") if word.lower() in left.lower()] == []
    assert execute(select(AuditEvent.actor_id).order_by(AuditEvent.id))[0]["actor_id"] == ada


def test_what_staff_repeated_and_checked_of_a_student_goes_with_the_student(
    execute: Execute, eraser: Eraser, make_job: Callable[..., UUID], ada: UUID, owner: UUID, life: dict[str, UUID]
) -> None:
    execute(update(User).where(User.id == owner).values(role="instructor"))
    check = {"experiment": CHECK, "spec": {"submission": str(life["run"])}}
    ended(execute, make_job, owner, retry_of=life["run"])
    ended(execute, make_job, owner, **check)
    waiting = make_job(owner_id=owner, **check)
    fellow = execute(insert(User).values(name="Bob", role="student").returning(User.id))[0]["id"]
    repeated = make_job(owner_id=fellow, retry_of=life["run"])
    mark(execute, ada, "delete")
    eraser.look()
    assert execute(select(Job.id).where(Job.id == waiting)) == []
    assert {row["id"] for row in execute(select(Job.id))} == {life["theirs"], repeated}


def test_what_an_assistant_of_the_course_repeated_goes_with_the_student(
    execute: Execute, eraser: Eraser, make_job: Callable[..., UUID], ada: UUID, life: dict[str, UUID]
) -> None:
    """In the lab, the assistant is a student."""
    assistant = execute(insert(User).values(name="assistant", role="student").returning(User.id))[0]["id"]
    execute(update(CourseMember).where(CourseMember.user_id == assistant).values(role="instructor"))
    ended(execute, make_job, assistant, retry_of=life["run"])
    mark(execute, ada, "delete")
    eraser.look()
    assert {row["id"] for row in execute(select(Job.id))} == {life["theirs"]}


def test_deleted_user_who_graded_others_stays_as_a_pseudonym(
    execute: Execute, eraser: Eraser, ada: UUID, owner: UUID, life: dict[str, UUID]
) -> None:
    execute(update(Grade).values(user_id=owner, grader_id=ada))
    mark(execute, ada, "delete")
    eraser.look()
    assert execute(select(User.name).where(User.id == ada)) == [{"name": f"user-{ada.hex[-12:]}"}]
    assert execute(select(Job.id).where(Job.owner_id == ada)) == []
    assert execute(select(Grade.points))[0]["points"] == 3.0


@pytest.fixture
def checked(
    execute: Execute, make_job: Callable[..., UUID], ada: UUID, owner: UUID, life: dict[str, UUID]
) -> dict[str, UUID]:
    """Work of another that she, as an instructor, repeats and checks; the check still waits."""
    pinned, again, check = ended(execute, make_job, owner), ended(execute, make_job, ada), make_job(owner_id=ada)
    assignment = execute(select(Assignment.id))[0]["id"]
    named = {"assignment_id": assignment, "user_id": owner, "job_id": pinned}
    execute(insert(Submission).values(**named, rerun_job_id=again, check_job_id=check))
    return {"again": again, "check": check}


@pytest.mark.parametrize("mode", ["delete", "anonymise"])
def test_checks_and_reruns_of_what_others_handed_in_stay_as_they_are(
    execute: Execute, eraser: Eraser, ada: UUID, owner: UUID, checked: dict[str, UUID], mode: str
) -> None:
    counted = execute(counts(ada))[0]
    assert (counted["runs"], counted["live_runs"], counted["files"]) == (6, 0, 6)
    mark(execute, ada, mode)
    eraser.look()
    others = select(Submission.rerun_job_id, Submission.check_job_id).where(Submission.user_id == owner)
    assert execute(others) == [{"rerun_job_id": checked["again"], "check_job_id": checked["check"]}]
    assert execute(select(Job.state).where(Job.id == checked["check"])) == [{"state": "queued"}]
    pseudonym = {"name": f"user-{ada.hex[-12:]}", "erasure": None}
    assert execute(select(User.name, User.erasure).where(User.id == ada)) == [pseudonym]
    if mode == "delete":
        assert {row["id"] for row in execute(select(Job.id).where(Job.owner_id == ada))} == set(checked.values())


def test_deleted_user_whose_hidden_check_an_assignment_has_stays_as_a_pseudonym(
    execute: Execute, eraser: Eraser, ada: UUID, life: dict[str, UUID]
) -> None:
    execute(update(Assignment).values(hidden_check={"spec": {}, "owner_id": str(ada)}))
    mark(execute, ada, "delete")
    eraser.look()
    assert execute(select(User.name).where(User.id == ada)) == [{"name": f"user-{ada.hex[-12:]}"}]


def test_runs_that_are_live_end_before_anything_goes(
    execute: Execute, eraser: Eraser, make_job: Callable[..., UUID], make_lease: Any, ada: UUID, owner: UUID
) -> None:
    waiting, running = make_job(owner_id=ada), make_job(owner_id=ada)
    make_lease(job_id=running)
    mark(execute, ada, "delete")
    eraser.look()
    states = {row["id"]: row["state"] for row in execute(select(Job.id, Job.state))}
    assert states == {waiting: "cancelled", running: "running"}
    assert execute(select(Job.cancel_requested_at).where(Job.id == running))[0]["cancel_requested_at"] is not None
    execute(update(Job).where(Job.id == running).values(state="cancelled", finished_at=func.now()))
    eraser.look()
    assert execute(select(Job.id)) == execute(select(User.id).where(User.id == ada)) == []


def test_eraser_that_was_cut_off_is_followed_by_one_that_finishes(
    execute: Execute, engine: Engine, ada: UUID, life: dict[str, UUID]
) -> None:
    mark(execute, ada, "delete")
    stop = Event()
    cut_off = Eraser(engine, stop, runs_batch_size=2)
    pauses = 0

    def wait(_: float | None = None) -> bool:
        nonlocal pauses
        pauses += 1
        stop.set()
        return True

    stop.wait = wait  # type: ignore[method-assign]
    cut_off.look()
    assert pauses == 1
    assert execute(select(User.erasure).where(User.id == ada)) == [{"erasure": "delete"}]
    assert 0 < len(execute(select(Job.id).where(Job.owner_id == ada))) < 6
    Eraser(engine, Event()).look()
    assert execute(select(User.id).where(User.id == ada)) == []


def test_deletion_that_is_ordered_while_a_user_is_anonymised_is_carried_out(
    execute: Execute, eraser: Eraser, monkeypatch: pytest.MonkeyPatch, ada: UUID, life: dict[str, UUID]
) -> None:
    mark(execute, ada, "anonymise")
    monkeypatch.setattr(eraser, "_rename", lambda _: mark(execute, ada, "delete"))
    eraser.look()
    assert execute(select(User.name, User.erasure).where(User.id == ada)) == [{"name": NAME, "erasure": "delete"}]
    monkeypatch.undo()
    eraser.look()
    assert execute(select(User.id).where(User.id == ada)) == []


def test_user_with_a_namesake_keeps_the_history_of_the_other(
    execute: Execute, eraser: Eraser, make_job: Callable[..., UUID], ada: UUID, owner: UUID, life: dict[str, UUID]
) -> None:
    execute(insert(User).values(name=NAME, email="other@example.org", role="instructor"))
    execute(update(JobEvent).where(JobEvent.job_id == life["theirs"]).values(actor=f"user:{NAME}"))
    mark(execute, ada, "anonymise")
    eraser.look()
    actor = select(JobEvent.actor).where(JobEvent.job_id == life["theirs"])
    assert execute(actor) == [{"actor": f"user:{NAME}"}]
    own = select(JobEvent.actor).where(JobEvent.job_id == life["run"])
    assert execute(own) == [{"actor": f"user:user-{ada.hex[-12:]}"}]


def test_lab_hours_forget_a_deleted_user(execute: Execute, eraser: Eraser, ada: UUID, owner: UUID) -> None:
    given = {"name": "Lab", "gpus": 1, "time_zone": "UTC", "give_back_minutes": 15, "created_by": owner}
    times = {"local_start": func.now(), "local_end": func.now() + func.make_interval(0, 0, 1)}
    execute(insert(LabHours).values(**given, **times, user_ids=[ada, owner]))
    mark(execute, ada, "delete")
    eraser.look()
    assert execute(select(LabHours.user_ids)) == [{"user_ids": [owner]}]


def test_audit_refuses_changes_that_are_no_erasure(execute: Execute, ada: UUID) -> None:
    execute(note(Origin(f"user:{NAME}", ada), "job.changed", "job:1"))
    for change in ("UPDATE audit_events SET actor = 'nobody'", "DELETE FROM audit_events"):
        with pytest.raises(ProgrammingError) as refused:
            execute(text(change))
        assert isinstance(refused.value.orig, psycopg.errors.InsufficientPrivilege)
    with pytest.raises(ProgrammingError):
        execute(text("SELECT set_config('gpulab.erasing', 'on', false); DELETE FROM audit_events"))
