"""Taking a user out of the lab: what is deleted of theirs, and where their name stands."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    Delete,
    Select,
    Text,
    Update,
    Uuid,
    cast,
    delete,
    false,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.orm import InstrumentedAttribute

from models.composed import statement
from models.statements.erasure.runs import for_others, is_theirs
from models.tables.assignment import Assignment, Extension, Grade, Submission
from models.tables.audit import AuditEvent
from models.tables.courses import CourseMember
from models.tables.estimate import Estimate
from models.tables.event import JobEvent
from models.tables.job import Job
from models.tables.lab_hours import LabHours
from models.tables.lease import PastUse
from models.tables.node import NodeEvent, NodeToken
from models.tables.notifications.banner import Banner
from models.tables.notifications.outbox import NotificationChannel
from models.tables.program import ProgramUpload
from models.tables.study import Study, StudyRun
from models.tables.user import BrowserSession, Token, Usage, User

TEXTS: tuple[InstrumentedAttribute[Any], ...] = (
    *(Job.name, Job.note, Study.name, ProgramUpload.name, Grade.comment, JobEvent.message, Banner.text),
)
"""Where users write, and where a name may stand. Each table has an `id`."""
OWNERS: Mapping[Any, Any] = {
    Job: Job.owner_id,
    Study: Study.owner_id,
    ProgramUpload: ProgramUpload.user_id,
    Grade: Grade.user_id,
}


@statement
def marked() -> Select[*tuple[Any, ...]]:
    """Users who are to be anonymised or deleted."""
    return select(User.id, User.name, User.email, User.erasure).where(User.erasure.is_not(None)).order_by(User.id)


@statement
def still_marked(user_id: UUID, erasure: str) -> Select[UUID]:
    """The user, locked, unless something else was ordered meanwhile."""
    return select(User.id).where(User.id == user_id, User.erasure == erasure).with_for_update()


@statement(shape=("everything",))
def unfinished(user_id: UUID, *, everything: bool) -> Select[UUID]:
    """Their runs that are not over, or everything that goes with them and is not over.

    Neither has runs that check or repeat what others handed in.
    """
    own = (Job.owner_id == user_id) & ~for_others(user_id)
    return select(Job.id).where(is_theirs(user_id) if everything else own, Job.finished_at.is_(None))


@statement
def has_namesake(user_id: UUID, name: str) -> Select[bool]:
    return select(select(User.id).where(User.name == name, User.id != user_id).exists())


@statement
def drop_access(user_id: UUID) -> Select[Any]:
    """Tokens, sessions, ways of notification with what waits there, and why deadlines were extended."""
    is_reader = cast(user_id, Uuid) == func.any(Banner.readers)
    reasons = update(Extension).where(Extension.user_id == user_id).values(reason=None).returning(Extension.id)
    return _together(
        delete(BrowserSession).where(BrowserSession.user_id == user_id).returning(BrowserSession.digest),
        delete(Token).where(Token.user_id == user_id).returning(Token.id),
        delete(NotificationChannel)
        .where(NotificationChannel.user_id == user_id)
        .returning(NotificationChannel.channel),
        reasons,
        # What staff wrote to them alone.
        delete(Banner).where(func.cardinality(Banner.readers) == 1, is_reader).returning(Banner.id),
    )


@statement
def drop_own(user_id: UUID) -> Select[Any]:
    """What is left of a user whose runs are gone: studies, submissions, grades, programs and use."""
    studies = select(Study.id).where(Study.owner_id == user_id)
    named = cast(user_id, Uuid) == func.any(LabHours.user_ids)
    reads = cast(user_id, Uuid) == func.any(Banner.readers)
    return _together(
        delete(StudyRun).where(StudyRun.study_id.in_(studies)).returning(StudyRun.position),
        update(Job).where(Job.study_id.in_(studies)).values(study_id=None).returning(Job.id),
        delete(Study).where(Study.owner_id == user_id).returning(Study.id),
        delete(Submission).where(Submission.user_id == user_id).returning(Submission.job_id),
        delete(Grade).where(Grade.user_id == user_id).returning(Grade.id),
        delete(Extension).where(Extension.user_id == user_id).returning(Extension.id),
        delete(ProgramUpload).where(ProgramUpload.user_id == user_id).returning(ProgramUpload.id),
        delete(PastUse).where(PastUse.owner_id == user_id).returning(PastUse.id),
        delete(Usage).where(Usage.user_id == user_id).returning(Usage.user_id),
        update(Estimate).where(Estimate.owner_id == user_id).values(owner_id=None).returning(Estimate.id),
        update(LabHours)
        .where(named)
        .values(user_ids=func.array_remove(LabHours.user_ids, user_id))
        .returning(LabHours.id),
        update(Banner).where(reads).values(readers=func.array_remove(Banner.readers, user_id)).returning(Banner.id),
    )


@statement(anew=True)
def mentions(
    column: Any, user_id: UUID, *, own: Sequence[str], everywhere: Sequence[str], after: Any, limit: int
) -> Select[*tuple[Any, ...]]:
    """Rows whose text has one of the words `everywhere`, and rows of the user's own with one of `own`, by id."""
    table = column.class_
    owner = OWNERS.get(table)
    mine = false() if owner is None else owner == user_id
    found = or_(_has(column, everywhere), mine & _has(column, own))
    later = [] if after is None else [table.id > after]
    return select(table.id, column.label("text")).where(found, *later).order_by(table.id).limit(limit)


@statement(anew=True)
def rewrite(column: Any, row_id: Any, text: str) -> Update:
    table = column.class_
    version = {"version": Job.version + 1} if table is Job else {}
    return update(table).where(table.id == row_id).values({column.key: text, **version})


@statement
def untag(user_id: UUID, tag: str, pseudonym: str) -> Update:
    """The name as a tag of their own runs."""
    before, after = cast(tag, Text), cast(pseudonym, Text)
    named = (Job.owner_id == user_id) & (before == func.any(Job.tags))
    return update(Job).where(named).values(tags=func.array_replace(Job.tags, before, after), version=Job.version + 1)


@statement
def rename_in_own_history(user_id: UUID, before: str, after: str) -> Update:
    """The actor of events of their own runs."""
    runs = select(Job.id).where(Job.owner_id == user_id)
    return update(JobEvent).where(JobEvent.job_id.in_(runs), JobEvent.actor == before).values(actor=after)


@statement
def rename_in_history(before: str, after: str) -> Select[Any]:
    """The actor of all events: for a name that only one user has."""
    return _together(
        update(JobEvent).where(JobEvent.actor == before).values(actor=after).returning(JobEvent.id),
        update(NodeEvent).where(NodeEvent.actor == before).values(actor=after).returning(NodeEvent.id),
        update(NodeToken).where(NodeToken.created_by == before).values(created_by=after).returning(NodeToken.id),
    )


@statement
def open_audit() -> Select[str]:
    """Until the transaction ends, the audit takes changes; its trigger refuses them otherwise."""
    return select(func.set_config("gpulab.erasing", "on", True))


@statement(anew=True)
def audit_about(user_id: UUID, *, everywhere: Sequence[str], after: int, limit: int) -> Select[*tuple[Any, ...]]:
    """Events by the user, on the user, and those that name them, in order."""
    about = or_(
        AuditEvent.actor_id == user_id,
        AuditEvent.target == f"user:{user_id}",
        _has(cast(AuditEvent.details, Text), everywhere),
    )
    columns = (AuditEvent.id, AuditEvent.actor_id, AuditEvent.actor, AuditEvent.target, AuditEvent.address)
    events = select(*columns, AuditEvent.details).where(AuditEvent.id > after, about)
    return events.order_by(AuditEvent.id).limit(limit)


@statement(anew=True)
def rewrite_audit(event_id: int, values: Mapping[str, Any]) -> Update:
    return update(AuditEvent).where(AuditEvent.id == event_id).values(**values)


@statement
def anonymise(user_id: UUID, pseudonym: str) -> Update:
    """The last step: the name is needed until here."""
    personal = dict.fromkeys(("email", "team", "openid_subject", "time_zone", "erasure"))
    return update(User).where(User.id == user_id).values(name=pseudonym, anonymised_at=func.now(), **personal)


@statement
def leave_courses(user_id: UUID) -> Delete:
    return delete(CourseMember).where(CourseMember.user_id == user_id)


@statement
def is_needed(user_id: UUID) -> Select[bool]:
    """Whether something of others names the user.

    Grades that they gave, lab hours that they made, runs that check or repeat the work of others, and hidden checks:
    those of later hand-ins run in their name.
    """
    checks = Assignment.hidden_check["owner_id"].astext == cast(cast(user_id, Uuid), Text)
    reasons = (
        select(Grade.id).where(Grade.grader_id == user_id),
        select(LabHours.id).where(LabHours.created_by == user_id),
        select(Job.id).where(Job.owner_id == user_id, for_others(user_id)),
        select(Assignment.id).where(checks),
    )
    return select(or_(*(reason.exists() for reason in reasons)))


@statement
def delete_user(user_id: UUID) -> Delete:
    return delete(User).where(User.id == user_id)


def _has(text: Any, words: Sequence[str]) -> ColumnElement[bool]:
    return or_(false(), *(func.strpos(func.lower(text), func.lower(word)) > 0 for word in words))


def _together(*changes: Any) -> Select[Any]:
    """Many changes as one statement."""
    parts: list[CTE] = [change.cte(f"part_{at}") for at, change in enumerate(changes)]
    return select(func.count()).select_from(parts[0]).add_cte(*parts[1:])
