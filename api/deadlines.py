"""Instants that a request names: read in the lab's time zone, held against the clock of the database, and shown again.

A date without a time is the end of that day, and a time without an offset is one of the lab's zone.
"""

from datetime import UTC, datetime, time, tzinfo
from zoneinfo import ZoneInfo

from api.context import App
from api.http.problems import InvalidRequest
from api.tokens import statements as tokens

END_OF_DAY = time(23, 59, 59)
DATE_LENGTH = len("2030-01-31")


async def deadline(app: App, path: str, text: str, *, after: datetime | None = None) -> datetime:
    """The instant that `text` names. Raises `InvalidRequest` where it is over, or not later than `after`."""
    moment = read(text, app.settings.time_zone, path)
    await check_in_future(app, path, moment, after=after)
    return moment


async def check_in_future(app: App, path: str, moment: datetime, *, after: datetime | None = None) -> None:
    """Raises `InvalidRequest` where the instant is over by the database's clock, or not later than `after`."""
    least = after or await app.database.scalar(tokens.now)
    if moment <= least:
        given, earliest = (shown(one, app.settings.time_zone) for one in (moment, least))
        limit = {"gt": least.isoformat()}
        fault = "is in the past" if after is None else "is too early"
        message = f"{given} {fault}: it must be later than {earliest}"
        raise InvalidRequest.of(path, message, limit=limit, value=moment.isoformat())


def read(text: str, zone_name: str, path: str) -> datetime:
    """Raises `InvalidRequest` where clocks show that time twice, or never."""
    if len(text) == DATE_LENGTH:
        return datetime.combine(datetime.fromisoformat(text), END_OF_DAY, _zone(zone_name)).astimezone(UTC)
    found = datetime.fromisoformat(text)
    if found.tzinfo is not None:
        return found.astimezone(UTC)
    first, second = (found.replace(tzinfo=_zone(zone_name), fold=fold) for fold in (0, 1))
    if first.utcoffset() != second.utcoffset():
        twice = first.astimezone(UTC) < second.astimezone(UTC)
        happens = "comes twice" if twice else "is skipped"
        offsets = " or ".join(one.isoformat() for one in (first, second))
        message = f"that hour {happens} in {zone_name}, where the clocks change; name the offset: {offsets}"
        raise InvalidRequest.of(path, message, value=text)
    return first.astimezone(UTC)


def shown(moment: datetime, zone_name: str) -> str:
    """`2030-01-31 23:59 CET (Europe/Berlin)`."""
    local = moment.astimezone(_zone(zone_name))
    zone = local.tzname() or f"{local:%z}"
    return f"{local:%Y-%m-%d %H:%M} {zone}" + ("" if zone == zone_name else f" ({zone_name})")


def _zone(name: str) -> tzinfo:
    # Known without the system's tables.
    return UTC if name == "UTC" else ZoneInfo(name)
