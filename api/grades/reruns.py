"""Running every submission of an assignment again, a part at a time."""

from collections import Counter
from uuid import UUID

from api.assignments import statements as assignments
from api.assignments.service import taught
from api.auth.principal import Principal
from api.context import App
from api.grades import rules, statements
from api.http.problems import ArtifactQuotaReached, QueueLimitReached
from api.jobs import service as jobs
from api.sql.database import Row
from gpulab.schemas.assignments.grades import RerunsOrder, RerunsRead, RerunsStarted

RERUNS_PER_CALL = 25
"""Jobs that one request queues: it answers within a second, and its caller shows progress."""


async def start(app: App, principal: Principal, assignment_id: UUID, order: RerunsOrder) -> RerunsStarted:
    """Queue the next re-runs, as jobs of the principal. Raises `AssignmentNotFound`, and over limits.

    A limit that is reached on the way ends the call and is no error: what was queued stays.
    """
    await taught(app, principal, assignment_id, changing=True)
    rows = await app.database.rows(
        statements.to_run_again,
        assignment_id=assignment_id,
        limit=RERUNS_PER_CALL,
        everyone=order.everyone,
        after=None if order.after is None else UUID(str(order.after)),
    )
    started, after, stopped_by = 0, order.after, None
    for row in rows:
        try:
            await _run_one_again(app, principal, assignment_id, row)
        except (QueueLimitReached, ArtifactQuotaReached) as error:
            if started == 0:
                raise
            stopped_by = error.detail
            break
        started, after = started + 1, row.user_id
    remaining = rows[0].left - started if rows else 0
    return RerunsStarted(
        started=started, remaining=remaining, next_after=after if remaining else None, stopped_by=stopped_by
    )


async def progress(app: App, principal: Principal, assignment_id: UUID) -> RerunsRead:
    """How the re-runs stand. Raises `AssignmentNotFound`."""
    assignment = await taught(app, principal, assignment_id)
    rows = await app.database.rows(statements.reruns, assignment_id=assignment_id)
    states = Counter(rules.rerun_state(row, assignment.tolerance) or "missing" for row in rows)
    counts = {name: states[name] for name in ("missing", "waiting", "same", "different", "failed")}
    return RerunsRead(submissions=len(rows), **counts)


async def _run_one_again(app: App, principal: Principal, assignment_id: UUID, row: Row) -> None:
    made = await jobs.retry(app, principal, row.job_id)
    await app.database.execute(
        assignments.rerun,
        assignment_id=assignment_id,
        user_id=row.user_id,
        job_id=row.job_id,
        rerun_job_id=made.id,
    )
