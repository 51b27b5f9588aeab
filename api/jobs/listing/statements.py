"""Lists of jobs, newest first: what narrows them, and their pages."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Text, cast, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY, array

from api.assignments.statements import belonging
from api.jobs.statements import SUMMARY
from api.sharing.statements import shared, visible_to
from models.composed import statement
from models.tables.assignment import Submission
from models.tables.job import Job
from models.tables.study import StudyRun
from models.tables.user import User


@statement
def page(
    *,
    before: UUID | None = None,
    limit: int,
    down_to: UUID | None = None,
    text: str | None = None,
    **filters: Any,
) -> Select[*tuple[Any, ...]]:
    """The `SUMMARY` of each, newest first, at most `limit`, older than `before`, as `filters` say. Never counts.

    `text` is looked for in every row, by no index: give it the bound `down_to`, from `last_of`.
    """
    wanted = conditions(before=before, **filters)
    if down_to is not None:
        wanted.append(Job.id >= down_to)
    if text is not None:
        wanted.append(is_called(text))
    return select(*SUMMARY).join(User, User.id == Job.owner_id).where(*wanted).order_by(Job.id.desc()).limit(limit)


def is_called(text: str) -> ColumnElement[bool]:
    """Whether the text is a part of the job's name, its note or its experiment's name."""
    words = func.lower(text)
    return or_(*(func.strpos(func.lower(column), words) > 0 for column in (Job.name, Job.experiment, Job.note)))


@statement
def last_of(number: int, *, before: UUID | None = None, **filters: Any) -> Select[UUID]:
    """The job at position `number` of the list that `page` gives with these filters; no row if it is shorter."""
    listed = select(Job.id).where(*conditions(before=before, **filters)).order_by(Job.id.desc())
    if "shared_with_team" in filters:
        listed = listed.join(User, User.id == Job.owner_id)
    return listed.offset(number - 1).limit(1)


def conditions(
    *,
    before: UUID | None = None,
    owner_id: UUID | None = None,
    taught: Sequence[UUID] | None = None,
    owner: UUID | None = None,
    namesakes: Sequence[UUID] | None = None,
    states: Sequence[str] | None = None,
    experiment: str | None = None,
    left_out: Sequence[str] | None = None,
    tag: str | None = None,
    study: UUID | None = None,
    assignment: UUID | None = None,
    counting: tuple[Sequence[str], Sequence[str]] | None = None,
    submitted_since: datetime | None = None,
    submitted_before: datetime | None = None,
    shared_with_class: bool | None = None,
    shared_with_team: str | None = None,
    shared_in: Sequence[UUID] | None = None,
    course: UUID | None = None,
) -> list[ColumnElement[bool]]:
    """`owner_id` is whose jobs may be seen, beside those of the courses `taught`; `owner` whose are asked for,
    `namesakes` where several are called so.

    Jobs of the experiments `left_out` are not listed; of an `assignment` those that were handed in; `counting` are the
    experiments and questions of an assignment whose work is asked for. With `shared_with_class`, only what is shared
    with the class, or with the team `shared_with_team`, and is of one of the courses `shared_in`.
    """
    possible = (
        (shared_with_class, lambda _: shared(Job, shared_with_team, shared_in)),
        (before, lambda wanted: Job.id < wanted),
        (owner_id, lambda wanted: visible_to(Job, wanted, taught)),
        (course, lambda wanted: Job.course_id == wanted),
        (owner, lambda wanted: Job.owner_id == wanted),
        (namesakes, lambda wanted: Job.owner_id == func.any(wanted)),
        (states, lambda wanted: Job.state == func.any(wanted)),
        (experiment, lambda wanted: Job.experiment == wanted),
        (left_out, lambda slugs: Job.experiment != func.all(slugs)),
        (tag, lambda wanted: Job.tags.contains(cast(array([wanted]), ARRAY(Text)))),
        (study, lambda wanted: Job.id.in_(select(StudyRun.job_id).where(StudyRun.study_id == wanted))),
        (counting, lambda wanted: belonging(*wanted)),
        (submitted_since, lambda wanted: Job.submitted_at >= wanted),
        (submitted_before, lambda wanted: Job.submitted_at < wanted),
        (assignment, lambda wanted: Job.id.in_(select(Submission.job_id).where(Submission.assignment_id == wanted))),
    )
    return [condition(value) for value, condition in possible if value is not None]
