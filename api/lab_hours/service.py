"""Lab hours: set, changed and cancelled by staff, listed for all."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from api import deadlines
from api.assignments import statements as assignments
from api.auth.principal import Principal
from api.context import App
from api.courses.access import course_of_staff
from api.extensions import statements as extensions
from api.http.problems import Busy, Forbidden, InvalidRequest, LabHoursNotFound
from api.lab_hours import statements
from api.lab_hours.capacity import TooMany, too_many
from api.lab_hours.reading import read
from api.sql.database import Row
from api.tokens import statements as tokens
from gpulab.schemas import LabHoursCreate, LabHoursList, LabHoursRead, LabHoursUpdate
from gpulab.words import counted
from models.statements import nodes
from models.tables.lab_hours import occurrences, zone_of

MAX_LAB_HOURS = 100
"""Those that are not over."""
MAX_ATTEMPTS = 20
LOCK = UUID(int=0x6C61625F686F757273)
"""Whose turn it is to change lab hours: no user has this id."""
MAX_SPAN = timedelta(days=7)
MAX_TERM = timedelta(days=366)
CAN_BE_NULL = frozenset({"gpus", "node", "section", "assignment_id", "weekly_until"})
TAKES_GPUS = frozenset({"gpus", "node", "local_start", "local_end", "weekly_until", "skipped_days"})
DATE_LENGTH = len("2030-01-31")


async def lab_hours(app: App, principal: Principal) -> LabHoursList:
    """Those that are not over, the next one first."""
    rows, now = await _coming(app), await _now(app)
    section = await app.database.scalar(statements.section_of, user_id=principal.id)
    found = [read(row, principal, section, now) for row in rows]
    return LabHoursList(items=sorted(found, key=lambda one: (one.next[0].start, one.id)))


async def get(app: App, principal: Principal, lab_hours_id: UUID) -> LabHoursRead:
    """Raises `LabHoursNotFound`."""
    section = await app.database.scalar(statements.section_of, user_id=principal.id)
    return read(await _find(app, lab_hours_id), principal, section, await _now(app))


async def create(app: App, principal: Principal, order: LabHoursCreate) -> LabHoursRead:
    """Raises `InvalidRequest`, `CourseArchived`, `Busy`."""
    course_id = await course_of_staff(app, principal, order.course_id)

    async def attempt(seen: str) -> Row | None:
        values = await _checked(app, principal, order, course_id)
        values["created_by"] = principal.id
        return _first(await app.database.rows_in_turn([LOCK], statements.create, values=values, seen=seen))

    return await get(app, principal, (await _until_alone(app, attempt)).id)


async def _checked(app: App, principal: Principal, order: LabHoursCreate, course_id: UUID) -> dict[str, Any]:
    """The values of new lab hours. Raises `InvalidRequest`."""
    coming, now = await _coming(app), await _now(app)
    if len(coming) >= MAX_LAB_HOURS:
        limit = {"le": MAX_LAB_HOURS}
        raise InvalidRequest.of("body", f"the lab has {len(coming)} lab hours that are not over", limit=limit)
    values = order.model_dump(exclude={"start", "end"})
    values |= {"course_id": course_id, "time_zone": app.settings.time_zone, "skipped_days": []}
    values |= _local(values["time_zone"], {"start": order.start, "end": order.end})
    values["weekly_until"] = _as_day(order.weekly_until)
    await _check(app, principal, values, values, coming, now)
    return values


async def change(app: App, principal: Principal, lab_hours_id: UUID, order: LabHoursUpdate) -> LabHoursRead:
    """Raises `LabHoursNotFound`, `Forbidden`, `InvalidRequest`, `Busy`."""

    async def attempt(seen: str) -> Row | None:
        row = await _changeable(app, principal, lab_hours_id)
        if not (values := _changes(row, order)):
            return row
        others = [other for other in await _coming(app) if other.id != lab_hours_id]
        await _check(app, principal, {**row._asdict(), **values}, values, others, await _now(app))
        given: dict[str, Any] = {"lab_hours_id": lab_hours_id, "values": values, "seen": seen}
        return _first(await app.database.rows_in_turn([LOCK], statements.change, **given))

    await _until_alone(app, attempt)
    return await get(app, principal, lab_hours_id)


async def _until_alone(app: App, attempt: Callable[[str], Awaitable[Row | None]]) -> Row:
    """Check and write again until nobody else changed lab hours between the two: both could get the last GPU.

    Raises `Busy`.
    """
    for _ in range(MAX_ATTEMPTS):
        if (row := await attempt(await app.database.scalar(statements.fingerprint))) is not None:
            return row
    raise Busy("others are changing lab hours at the moment; try again")


def _first(rows: Sequence[Row]) -> Row | None:
    return rows[0] if rows else None


def _changes(row: Row, order: LabHoursUpdate) -> dict[str, Any]:
    """Raises `InvalidRequest`."""
    given = order.model_dump(exclude_unset=True)
    values = {name: value for name, value in given.items() if value is not None or name in CAN_BE_NULL}
    times: dict[str, str] = {name: values.pop(name) for name in ("start", "end") if name in values}
    values |= _local(row.time_zone, times)
    if "weekly_until" in values:
        values["weekly_until"] = _as_day(values["weekly_until"])
    if "skipped_days" in values:
        values["skipped_days"] = sorted(filter(None, map(_as_day, values["skipped_days"])))
    return values


async def cancel(app: App, principal: Principal, lab_hours_id: UUID) -> None:
    """Raises `LabHoursNotFound`, `Forbidden`."""
    await _changeable(app, principal, lab_hours_id)
    if await app.database.row(statements.cancel, lab_hours_id=lab_hours_id) is None:
        raise _not_found(lab_hours_id)


async def _changeable(app: App, principal: Principal, lab_hours_id: UUID) -> Row:
    row = await _find(app, lab_hours_id)
    if not principal.teaches(row.course_id):
        raise Forbidden("only instructors of their course may change lab hours")
    return row


async def _check(
    app: App,
    principal: Principal,
    values: Mapping[str, Any],
    given: Mapping[str, Any],
    others: Sequence[Row],
    now: datetime,
) -> None:
    """`values` are as they will be, `given` what the request says: a section may be empty by now."""
    _check_times(SimpleNamespace(**values), now)
    if not (values["section"] or values["assignment_id"] or values["user_ids"]):
        raise InvalidRequest.of("section", "name the section, the assignment or the users that may use the GPUs")
    await _check_audience(app, values["course_id"], given)
    if given.keys().isdisjoint(TAKES_GPUS):
        return
    gpus = Counter(gpu.node for gpu in await app.database.rows(nodes.gpus))
    _check_gpus(values, gpus)
    found = too_many(SimpleNamespace(**values), others, gpus, now)
    if found is not None:
        raise _refusal(app, principal, values, found)


def _check_times(wanted: Any, now: datetime) -> None:
    start, end = wanted.local_start, wanted.local_end
    if end <= start:
        raise InvalidRequest.of("end", f"must be later than the start {start}", limit={"gt": str(start)}, value=end)
    if end - start > MAX_SPAN:
        raise InvalidRequest.of("end", "lab hours last at most 7 days", limit={"le": str(start + MAX_SPAN)}, value=end)
    until = wanted.weekly_until
    if until is not None and not start.date() <= until <= start.date() + MAX_TERM:
        limit = {"ge": str(start.date()), "le": str(start.date() + MAX_TERM)}
        message = f"the last day must be between the first day, {start.date()}, and a year after it"
        raise InvalidRequest.of("weekly_until", message, limit=limit, value=until)
    if next(occurrences(wanted, now), None) is None:
        field = "end" if until is None else "weekly_until"
        shown = end if until is None else until
        message = f"{shown} is in the past, or every day is skipped"
        raise InvalidRequest.of(field, message, limit={"gt": now.isoformat()}, value=shown)


async def _check_audience(app: App, course_id: UUID, values: Mapping[str, Any]) -> None:
    section, assignment_id = values.get("section"), values.get("assignment_id")
    user_ids = values.get("user_ids", ())
    if section is not None and not await app.database.rows(extensions.in_section, course_id=course_id, section=section):
        raise InvalidRequest.of("section", "no student is in this section", value=section)
    assignment = assignment_id and await app.database.row(assignments.by_id, assignment_id=assignment_id)
    if assignment_id is not None and (assignment is None or assignment.course_id != course_id):
        raise InvalidRequest.of("assignment_id", "no assignment of the course has this id", value=assignment_id)
    rows = await app.database.rows(statements.known_users, course_id=course_id, user_ids=list(user_ids))
    known = {row.id for row in rows}
    for index, user_id in enumerate(user_ids):
        if user_id not in known:
            raise InvalidRequest.of(
                f"user_ids.{index}", "no member of the course who can sign in has this id", value=user_id
            )


def _check_gpus(values: Mapping[str, Any], gpus: Mapping[str, int]) -> None:
    node, count = values["node"], values["gpus"]
    if node is None and count is None:
        raise InvalidRequest.of("gpus", "say how many GPUs to keep, or name a node to keep as a whole")
    if node is not None and not gpus.get(node):
        limit = {"enum": sorted(gpus)}
        raise InvalidRequest.of("node", "no node with this name has GPUs", limit=limit, value=node)
    there = sum(gpus.values()) if node is None else gpus[node]
    if count is not None and count > there:
        where = "the lab" if node is None else f"node {node}"
        message = f"{where} has {counted(there, 'GPU')}"
        raise InvalidRequest.of("gpus", message, limit={"le": there}, value=count)


def _refusal(app: App, principal: Principal, values: Mapping[str, Any], found: TooMany) -> InvalidRequest:
    names = ", ".join(_called(principal, other) for other in found.others)
    moment = deadlines.shown(found.moment, app.settings.time_zone)
    message = f"{counted(found.free, 'GPU')} free on {moment}, in addition to {names}"
    field = "node" if values["gpus"] is None else "gpus"
    return InvalidRequest.of(field, message, limit={"le": found.free}, value=found.wanted)


def _called(principal: Principal, row: Row) -> str:
    return f"“{row.name}”" if principal.teaches(row.course_id) else "lab hours of another course"


def _local(zone: str, times: Mapping[str, str]) -> dict[str, datetime]:
    """By the clocks of the zone."""
    found = {}
    for name, text in times.items():
        if len(text) == DATE_LENGTH:
            raise InvalidRequest.of(name, "needs a time of day: 2030-01-31T10:00", value=text)
        moment = deadlines.read(text, zone, name)
        found[f"local_{name}"] = moment.astimezone(zone_of(zone)).replace(tzinfo=None)
    return found


def _as_day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


async def _now(app: App) -> datetime:
    now: datetime = await app.database.scalar(tokens.now)
    return now


async def _coming(app: App) -> list[Row]:
    """Those that are not over."""
    now = await _now(app)
    rows = await app.database.rows(statements.every)
    return [row for row in rows if next(occurrences(row, now), None) is not None]


async def _find(app: App, lab_hours_id: UUID) -> Row:
    for row in await app.database.rows(statements.every):
        if row.id == lab_hours_id:
            return row
    raise _not_found(lab_hours_id)


def _not_found(lab_hours_id: UUID) -> LabHoursNotFound:
    return LabHoursNotFound(f"no lab hours have the id {lab_hours_id}")
