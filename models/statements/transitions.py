"""The one way a job changes state: a guarded UPDATE, its event and its notice, in one statement.

Nothing else assigns `Job.state` (submitting and cancelling, in `jobs.py`, share `announce`). The statement returns one
row for each job that changed, and none for a job that was not in a state from which `gpulab.states.MOVES` allows the
move: the caller lost a race and must let go.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import CTE, ColumnElement, Select, Text, cast, func, insert, literal, literal_column, select, update
from sqlalchemy.sql.elements import SQLCoreOperations

from gpulab.states import FINAL_STATES, JobState, sources
from models.channels import JOBS
from models.statements.notifications import outbox
from models.tables.event import JobEvent
from models.tables.job import Job

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
    statement = select(*columns, event_row.c.id.label("event_id")).join_from(
        changed, event_row, event_row.c.job_id == columns.id
    )
    if not notify:
        return statement
    notice = func.concat_ws(" ", cast(columns.id, Text), event_row.c.id, columns.version, columns.state)
    return statement.add_columns(func.pg_notify(JOBS, notice)).add_cte(outbox.of_event(changed, event))


def text_of(value: str | ColumnElement[str]) -> ColumnElement[str]:
    """As a value of a statement; a parameter stays one."""
    return literal(value, Text) if isinstance(value, str) else value
