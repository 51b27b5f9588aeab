"""The one way a job changes state: a guarded UPDATE, its event and its notice, in one statement.

Nothing else assigns `Job.state` (submitting, in the API, shares `announce`). The statement returns one
row for each job that changed, and none for a job that was not in a state from which `gpulab.states.MOVES` allows the
move: the caller lost a race and must let go.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    Select,
    Text,
    case,
    cast,
    func,
    insert,
    literal,
    literal_column,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.sql.elements import SQLCoreOperations

from gpulab.states import FINAL_STATES, JobState, sources
from models.channels import CANCEL, JOBS
from models.composed import statement
from models.statements.notifications import outbox
from models.tables.event import JobEvent
from models.tables.job import Job
from models.tables.lease import Lease

OLD_STATE = literal_column("old.state", Text).label("from_state")
"""The state before the UPDATE; PostgreSQL 18 lets RETURNING name it."""


def moved(
    targets: Iterable[JobState],
    condition: ColumnElement[bool],
    *,
    state: ColumnElement[str] | None = None,
    values: dict[str, Any] | None = None,
    returning: Iterable[SQLCoreOperations[Any]] = (),
) -> CTE:
    """The UPDATE of the jobs that match `condition` to `state`, an expression that yields one of `targets`.

    Columns: `id, attempt, version, state, from_state`, then `returning`. Follow it with `announce`.
    """
    targets = tuple(targets)
    allowed = frozenset.intersection(*(sources(target) for target in targets))
    return (
        update(Job)
        .where(condition, Job.state.in_(sorted(allowed)))
        .values(
            {
                "state": literal(targets[0].value, Text) if state is None else state,
                "version": Job.version + 1,
                "changed_at": func.now(),
                **({"finished_at": func.now()} if FINAL_STATES.issuperset(targets) else {}),
                **(values or {}),
            }
        )
        .returning(Job.id, Job.attempt, Job.version, Job.state, OLD_STATE, *returning)
        .cte("changed")
    )


def announce(
    changed: CTE,
    *,
    event: str,
    actor: str | ColumnElement[str],
    message: str | ColumnElement[str],
    notify: bool = True,
) -> Select[Any]:
    """Write an event for each row of `changed` (`id, attempt, version, state, from_state, ...`) and notify of it.

    Its owner's notifications are written too. Returns the columns of `changed`, then `event_id`. With `notify=False`,
    for what is submitted, the caller sends the notice after the commit.
    """
    columns = changed.c
    event_row = (
        insert(JobEvent)
        .from_select(
            ["job_id", "type", "from_state", "to_state", "attempt", "actor", "message"],
            select(
                columns.id,
                literal(event, Text),
                columns.from_state,
                columns.state,
                columns.attempt,
                text_of(actor),
                text_of(message),
            ),
        )
        .returning(JobEvent.id, JobEvent.job_id)
        .cte("event")
    )
    written = select(*columns, event_row.c.id.label("event_id")).join_from(
        changed, event_row, event_row.c.job_id == columns.id
    )
    if not notify:
        return written
    notice = func.concat_ws(" ", cast(columns.id, Text), event_row.c.id, columns.version, columns.state)
    return written.add_columns(func.pg_notify(JOBS, notice)).add_cte(outbox.of_event(changed, event))


def text_of(value: str | ColumnElement[str]) -> ColumnElement[str]:
    """As a value of a statement; a parameter stays one."""
    return literal(value, Text) if isinstance(value, str) else value


@statement
def cancel(job_id: UUID, *, actor: str) -> Select[Any]:
    """End a job that no process has taken up; ask the worker of any other to end it. No row: it was final or asked."""
    return _cancel(Job.id == job_id, Lease.job_id == job_id, actor)


@statement
def cancel_all(job_ids: Sequence[UUID], *, actor: str) -> Select[Any]:
    """As `cancel`, of many jobs at once; a row for each that was neither final nor asked."""
    return _cancel(Job.id == func.any(job_ids), Lease.job_id == func.any(job_ids), actor)


def _cancel(wanted: ColumnElement[bool], leased: ColumnElement[bool], actor: str) -> Select[Any]:
    released = (
        update(Lease)
        .where(leased, Lease.released_at.is_(None), Lease.claimed_at.is_(None))
        .values(released_at=func.now(), outcome=JobState.CANCELLED.value)
        .returning(Lease.job_id)
        .cte("released")
    )
    # Evaluated before the UPDATE: a row that had to be waited for is looked at anew, and cannot ask `released` then.
    let_go = func.array(select(released.c.job_id).scalar_subquery())
    idle = or_(Job.state == JobState.QUEUED, Job.id == func.any(let_go))
    from_state = Job.state
    changed = (
        update(Job)
        .where(wanted, Job.state.in_(sorted(sources(JobState.CANCELLED))), Job.cancel_requested_at.is_(None))
        .values(
            state=case((idle, JobState.CANCELLED.value), else_=from_state),
            finished_at=case((idle, func.now()), else_=null()),
            cancel_requested_at=func.now(),
            version=Job.version + 1,
            changed_at=func.now(),
        )
        .returning(Job.id, Job.attempt, Job.version, Job.state, OLD_STATE)
        .cte("changed")
    )
    asked = announce(changed, event="job.cancel_requested", actor=actor, message="asked to end")
    return asked.add_columns(func.pg_notify(CANCEL, cast(changed.c.id, Text)))
