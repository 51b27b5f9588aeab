"""Lab hours as they are shown: names only to staff and to those for whom they are."""

from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from api.auth.principal import Principal
from api.sql.database import Row
from gpulab.schemas import LabHoursRead, OccurrenceRead, TimelineLabHoursRead
from models.tables.lab_hours import Occurrence, occurrences

MAX_NEXT = 5
AHEAD = timedelta(days=7)
"""How far the timeline looks ahead."""


def is_for(row: Row, principal: Principal, section: str | None) -> bool:
    """Whether the user is one of those for whom they are, as far as a person can tell: an assignment is for all."""
    if not principal.is_in(row.course_id):
        return False
    in_section = row.section is None or row.section == section
    return in_section and (not row.user_ids or principal.id in row.user_ids)


def read(row: Row, principal: Principal, section: str | None, now: datetime) -> LabHoursRead:
    yours = is_for(row, principal, section)
    teaches = principal.teaches(row.course_id)
    visible = teaches or yours
    return LabHoursRead(
        id=row.id,
        course_id=row.course_id if visible else None,
        name=row.name if visible else None,
        when=when(row),
        yours=yours,
        gpus=row.gpus,
        node=row.node,
        section=row.section if visible else None,
        assignment_id=row.assignment_id if visible else None,
        assignment=row.assignment if visible else None,
        users={str(key): name for key, name in row.users.items()} if teaches else None,
        local_start=row.local_start.isoformat(timespec="minutes"),
        local_end=row.local_end.isoformat(timespec="minutes"),
        weekly_until=row.weekly_until and row.weekly_until.isoformat(),
        skipped_days=[day.isoformat() for day in row.skipped_days],
        time_zone=row.time_zone,
        give_back_minutes=row.give_back_minutes,
        next=[
            OccurrenceRead(day=one.day.isoformat(), start=one.start, end=one.end, gpu_uuids=kept_gpus(row, one))
            for one in islice(occurrences(row, now), MAX_NEXT)
        ],
    )


def on_timeline(
    row: Row, principal: Principal, section: str | None, since: datetime, now: datetime
) -> list[TimelineLabHoursRead]:
    yours = is_for(row, principal, section)
    return [
        TimelineLabHoursRead(
            id=row.id,
            name=row.name if yours or principal.teaches(row.course_id) else None,
            yours=yours,
            gpus=row.gpus,
            node=row.node,
            gpu_uuids=kept_gpus(row, one),
            start=one.start,
            end=one.end,
        )
        for one in occurrences(row, since)
        if one.start < now + AHEAD
    ]


def kept_gpus(row: Row, one: Occurrence) -> list[str]:
    return list(row.kept.get(f"{one.start.timestamp():.0f}", ()))


def when(row: Any) -> str:
    """`Mondays 10:00 to 12:00 until 2030-02-04 (Europe/Berlin)`."""
    start, end = row.local_start, row.local_end
    same_day = start.date() == end.date()
    if row.weekly_until is None:
        until = f"{end:%H:%M}" if same_day else f"{end:%Y-%m-%d %H:%M}"
        return f"{start:%Y-%m-%d %H:%M} to {until} ({row.time_zone})"
    until = f"{end:%H:%M}" if same_day else f"{DAYS[end.weekday()]} {end:%H:%M}"
    return f"{DAYS[start.weekday()]}s {start:%H:%M} to {until} until {row.weekly_until} ({row.time_zone})"


DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
"""Not by the machine's locale."""
