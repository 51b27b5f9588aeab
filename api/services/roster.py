"""The roster: a class let in from a table, and brought up to date by it."""

import csv
import io
from itertools import groupby
from typing import Any, Literal

import orjson
from psycopg.errors import UniqueViolation
from psycopg.types.json import Jsonb

from api.auth import Principal
from api.context import Lab
from api.database import Row
from api.problems import AlreadyTaken
from api.services import people, roster_tables
from api.services.roster_tables import RosterLine
from api.tokens import digest_of, new_token, prefix_of
from gpulab.schemas import InvalidField
from gpulab.schemas.roster import GroupRead, RosterChange, RosterImport, RosterImported, RosterRead, RosterRow
from gpulab.states import Role
from models.statements import roster as statements

FIELDS = ("name", "section", "team")


async def read(lab: Lab, section: str | None, team: str | None) -> RosterRead:
    rows = await lab.database.rows(statements.students, section=section, team=team)
    groups = [
        GroupRead(section=key[0], team=key[1], students=[row.id for row in found])
        for key, found in groupby(rows, key=lambda row: (row.section, row.team))
    ]
    return RosterRead(people=[people.read(row) for row in rows], groups=groups)


async def bring_in(lab: Lab, principal: Principal, order: RosterImport) -> RosterImported:
    """Do, or only say, what a table asks for. Raises `InvalidRequest`, `AlreadyTaken`; then nothing has changed."""
    lines = roster_tables.read(order.csv)
    names, emails = [line.name for line in lines], [line.email for line in lines]
    known = await lab.database.rows(statements.known, names=names, emails=emails)
    by_email = {row.email: row for row in known if row.email is not None}
    _check(lines, known, by_email)
    planned = [_row(line, by_email.get(line.email)) for line in lines]
    present = set(emails)
    students = await lab.database.rows(statements.students)
    tokens: dict[str, str] = {}
    if not order.dry_run:
        tokens = {row.email: new_token() for row in planned if row.action == "create"}
        await _write(lab, principal, lines, planned, by_email, tokens)
    counts = {action: sum(row.action == action for row in planned) for action in ("create", "change", "keep")}
    return RosterImported(
        dry_run=order.dry_run,
        created=counts["create"],
        changed=counts["change"],
        kept=counts["keep"],
        rows=planned,
        missing=[row.name for row in students if row.email not in present],
        tokens_csv=_as_table(planned, tokens) if tokens else None,
    )


def _check(lines: list[RosterLine], known: Any, by_email: dict[str, Row]) -> None:
    by_name = {row.name: row for row in known}
    errors = []
    for line in lines:
        same = by_email.get(line.email)
        if same is not None and same.role != Role.STUDENT:
            message = f"is the address of somebody who is {same.role}"
            errors.append(InvalidField(path=f"csv.{line.line}.email", message=message, value=line.email))
        namesake = by_name.get(line.name)
        if namesake is not None and (same is None or namesake.id != same.id):
            message = "somebody with another address is called so; names are unique"
            errors.append(InvalidField(path=f"csv.{line.line}.name", message=message, value=line.name))
    if errors:
        raise roster_tables.refuse(errors)


def _row(line: RosterLine, known: Row | None) -> RosterRow:
    wanted = _wanted(line, known)
    changes = [
        RosterChange(field=field, before=None if known is None else getattr(known, field), after=wanted[field])
        for field in FIELDS
        if (None if known is None else getattr(known, field)) != wanted[field]
    ]
    action: Literal["create", "change", "keep"] = "create" if known is None else "change" if changes else "keep"
    return RosterRow(line=line.line, email=line.email, name=line.name, action=action, changes=changes)


def _wanted(line: RosterLine, known: Row | None) -> dict[str, str | None]:
    """The person's fields after it: a column that the table has not leaves them alone, an empty cell empties them."""
    kept = known is not None
    return {
        field: getattr(known, field) if kept and field not in line.given else getattr(line, field) for field in FIELDS
    }


async def _write(
    lab: Lab,
    principal: Principal,
    lines: list[RosterLine],
    planned: list[RosterRow],
    by_email: dict[str, Row],
    tokens: dict[str, str],
) -> None:
    rows = []
    for line, row in zip(lines, planned, strict=True):
        if row.action == "keep":
            continue
        known, token = by_email.get(line.email), tokens.get(line.email)
        rows.append(
            {
                "user_id": None if known is None else known.id,
                "email": line.email,
                **_wanted(line, known),
                "digest": None if token is None else digest_of(token).hex(),
                "prefix": None if token is None else prefix_of(token),
            }
        )
    if not rows:
        return
    try:
        await lab.database.rows(statements.bring_in(Jsonb(rows, dumps=orjson.dumps), principal.origin))
    except UniqueViolation:
        raise AlreadyTaken("somebody of the table was let in meanwhile; try again") from None


def _as_table(planned: list[RosterRow], tokens: dict[str, str]) -> str:
    written = io.StringIO(newline="")
    table = csv.writer(written)
    table.writerow(["name", "email", "token"])
    table.writerows([row.name, row.email, tokens[row.email]] for row in planned if row.email in tokens)
    return written.getvalue()
