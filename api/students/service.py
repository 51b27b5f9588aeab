"""The students of an assignment, all at once: where they stand, and what staff do for many of them."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from api import deadlines
from api.assignments import programs
from api.assignments.service import taught
from api.auth.principal import Principal
from api.banners import service as banners
from api.context import App
from api.http.problems import NoHiddenCheck
from api.jobs.cancelling import cancel_all
from api.students import statements
from gpulab.schemas.assignments.students import (
    NotDone,
    StudentsCheck,
    StudentsDone,
    StudentsExtend,
    StudentsMessage,
    StudentsOrder,
    TileRead,
    WallRead,
)

MAX_TILES = 2000


async def wall(app: App, principal: Principal, assignment_id: UUID, among: Mapping[str, str | None]) -> WallRead:
    """Raises as `taught`."""
    row = await taught(app, principal, assignment_id)
    found = await app.database.rows(
        statements.wall,
        assignment_id=assignment_id,
        experiments=row.experiments,
        questions=row.questions,
        limit=MAX_TILES,
        **among,
    )
    names = ("name", "section", "team", "state", "runs", "succeeded", "unfinished")
    tiles = [
        TileRead(user_id=one.id, **{name: getattr(one, name) for name in names}) for one in found if one.id is not None
    ]
    return WallRead(states=found[0].states or {}, students=tiles)


async def extend(app: App, principal: Principal, assignment_id: UUID, order: StudentsExtend) -> StudentsDone:
    """Raises as `taught`, `InvalidRequest`."""
    assignment = await taught(app, principal, assignment_id, changing=True)
    deadline = await deadlines.deadline(app, "deadline", order.deadline, after=assignment.deadline)
    names = await _names(app, assignment.course_id, order)
    rows = await app.database.rows(
        statements.extend,
        assignment_id=assignment_id,
        user_ids=list(names),
        deadline=deadline,
        reason=order.reason,
    )
    done = {row.user_id for row in rows}
    later = dict.fromkeys(names.keys() - done, "has a later deadline already")
    return _outcome(order, names, later)


async def message(app: App, principal: Principal, assignment_id: UUID, order: StudentsMessage) -> StudentsDone:
    """Raises as `taught`, `InvalidRequest`."""
    row = await taught(app, principal, assignment_id, changing=True)
    names = await _names(app, row.course_id, order)
    if names:
        await banners.write_to(app, row.course_id, list(names), order.text, order.ends_at)
    return _outcome(order, names, {})


async def cancel_waiting_runs(
    app: App, principal: Principal, assignment_id: UUID, order: StudentsOrder
) -> StudentsDone:
    """Only runs in the queue: what runs already goes on. Raises as `taught`."""
    row = await taught(app, principal, assignment_id, changing=True)
    names = await _names(app, row.course_id, order)
    waiting = await app.database.rows(
        statements.waiting_runs,
        user_ids=list(names),
        course_id=row.course_id,
        experiments=row.experiments,
        questions=row.questions,
    )
    await cancel_all(app, principal, [one.id for one in waiting])
    idle = dict.fromkeys(names.keys() - {one.owner_id for one in waiting}, "has no run that waits")
    return _outcome(order, names, idle, runs=len(waiting))


async def check(app: App, principal: Principal, assignment_id: UUID, order: StudentsCheck) -> StudentsDone:
    """Run the hidden check of what each handed in again. Raises as `taught`, `NoHiddenCheck`."""
    row = await taught(app, principal, assignment_id, changing=True)
    if row.hidden_check is None:
        raise NoHiddenCheck(f"the assignment {row.name!r} has no hidden check; set one first")
    names = await _names(app, row.course_id, order)
    found = await app.database.rows(statements.handed_in, assignment_id=assignment_id, user_ids=list(names))
    handed_in = {one.user_id: one.job_id for one in found}
    failed: dict[UUID, str] = {}
    for user_id in names:
        if user_id not in handed_in:
            failed[user_id] = "has handed nothing in"
        elif not await programs.check_hand_in(app, principal, row, user_id, handed_in[user_id]):
            failed[user_id] = "the queue of the instructor who set the check is full"
    return _outcome(order, names, failed, runs=len(names) - len(failed))


async def _names(app: App, course_id: UUID, order: StudentsOrder | StudentsCheck) -> dict[UUID, str]:
    """The course's students among the ids, by name."""
    rows = await app.database.rows(statements.named, course_id=course_id, user_ids=_ids(order.user_ids))
    return {row.id: row.name for row in sorted(rows, key=lambda row: row.name)}


def _ids(given: Iterable[object]) -> list[UUID]:
    return list(dict.fromkeys(UUID(str(one)) for one in given))


def _outcome(
    order: StudentsOrder | StudentsCheck, names: Mapping[UUID, str], failed: Mapping[UUID, str], runs: int = 0
) -> StudentsDone:
    unknown: Sequence[UUID] = [one for one in _ids(order.user_ids) if one not in names]
    not_done = [NotDone(user_id=one, user=names[one], reason=failed[one]) for one in names if one in failed]
    not_done += [NotDone(user_id=one, user=None, reason="no student has this id") for one in unknown]
    return StudentsDone(done=len(names) - len(failed), runs=runs, not_done=not_done)
