"""The roster: a class let in from a table, and brought up to date by it."""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import Literal
from uuid import UUID

import orjson
from psycopg.errors import UniqueViolation
from psycopg.types.json import Jsonb

from api.auth.principal import Principal
from api.auth.token_secrets import digest_of, new_token, prefix_of
from api.context import App
from api.courses import statements as courses
from api.courses.access import course_of_staff, courses_read
from api.http.problems import AlreadyTaken, InvalidRequest
from api.roster import decoding, statements, tables
from api.roster.tables import RosterLine
from api.sql.database import Row
from api.users import service as users
from gpulab.csv_text import csv_text
from gpulab.schemas import InvalidField
from gpulab.schemas.roster import GroupRead, RosterChange, RosterImport, RosterImported, RosterRead, RosterRow
from gpulab.states import Role

FIELDS = ("name", "section", "team")


async def read(
    app: App, principal: Principal, course_id: UUID | None, section: str | None, team: str | None
) -> RosterRead:
    narrowed = courses_read(principal, course_id)
    rows = await app.database.rows(statements.students, courses=narrowed, section=section, team=team)
    groups = [
        GroupRead(section=key[0], team=key[1], students=[row.id for row in found])
        for key, found in groupby(rows, key=lambda row: (row.section, row.team))
    ]
    return RosterRead(users=[users.read(row) for row in rows], groups=groups)


async def bring_in(app: App, principal: Principal, order: RosterImport) -> RosterImported:
    """Do, or only say, what a table asks for. Raises `InvalidRequest`, `AlreadyTaken`, `CourseArchived`; then nothing
    has changed.
    """
    course_id = await course_of_staff(app, principal, order.course_id)
    taught = None if principal.is_admin else principal.standing.taught_ids
    table = decoding.of_order(order.csv, order.file)
    found = tables.read(table.text)
    lines, emails = found.lines, [line.email for line in found.lines]
    known = await app.database.rows(statements.known, emails=emails, course_id=course_id, taught=taught)
    by_email = {row.email: row for row in known}
    _check(lines, by_email)
    planned = [_row(line, by_email.get(line.email)) for line in lines]
    present = set(emails)
    students = await app.database.rows(statements.students, courses=[course_id])
    tokens: dict[str, str] = {}
    if not order.dry_run:
        tokens = {row.email: new_token() for row in planned if row.action == "create"}
        await _write(app, principal, course_id, lines, planned, by_email, tokens)
    counts = {action: sum(row.action == action for row in planned) for action in ("create", "change", "keep")}
    return RosterImported(
        dry_run=order.dry_run,
        created=counts["create"],
        changed=counts["change"],
        kept=counts["keep"],
        rows=planned,
        missing=_told_apart([row for row in students if row.email not in present], students),
        notices=[
            *([table.notice] if table.notice else []),
            *found.notices,
            *_about_known(emails, by_email),
        ],
        tokens_csv=_as_table(planned, tokens) if tokens else None,
    )


def _about_known(emails: list[str], by_email: dict[str, Row]) -> list[str]:
    return [*_disabled(emails, by_email), *_shared(emails, by_email)]


def _disabled(emails: list[str], by_email: dict[str, Row]) -> list[str]:
    """An import does not enable disabled users again; a notice names them."""
    found = [email for email in emails if email in by_email and by_email[email].disabled_at is not None]
    if not found:
        return []
    return [f"These users stay disabled; `gpulab users enable` enables a user again: {', '.join(found)}"]


def _shared(emails: list[str], by_email: dict[str, Row]) -> list[str]:
    found = [email for email in emails if email in by_email and by_email[email].elsewhere]
    if not found:
        return []
    named = ", ".join(found)
    return [f"These users are also in another course or teach one, and keep their name, section and team: {named}"]


def _check(lines: list[RosterLine], by_email: dict[str, Row]) -> None:
    errors = []
    for line in lines:
        same = by_email.get(line.email)
        role = Role.STUDENT if same is None else _other_role(same)
        if same is not None and role != Role.STUDENT:
            message = f"is the address of a user with the role {role}; remove the line"
            errors.append(InvalidField(path=f"csv.{line.line}.email", message=message, value=line.email))
    if errors:
        raise InvalidRequest.of_fields(errors)


def _other_role(row: Row) -> str:
    """What they are in the lab, or in the course, instead of a student."""
    return str(row.role if row.role != Role.STUDENT else row.course_role or Role.STUDENT)


def _told_apart(rows: list[Row], everybody: Sequence[Row]) -> list[str]:
    """Names, with the address where several users have one."""
    bearers = Counter(row.name for row in everybody)
    return [row.name if bearers[row.name] == 1 else f"{row.name} ({row.email or 'no address'})" for row in rows]


def _row(line: RosterLine, known: Row | None) -> RosterRow:
    wanted = _wanted(line, known)
    changes = [
        RosterChange(field=field, before=None if known is None else getattr(known, field), after=wanted[field])
        for field in FIELDS
        if (None if known is None else getattr(known, field)) != wanted[field]
    ]
    if known is not None and known.course_role is None:
        changes.append(RosterChange(field="course", before=None, after="student"))
    action: Literal["create", "change", "keep"] = "create" if known is None else "change" if changes else "keep"
    return RosterRow(line=line.line, email=line.email, name=line.name, action=action, changes=changes)


def _wanted(line: RosterLine, known: Row | None) -> dict[str, str | None]:
    """The user's fields after it: a column that the table has not leaves them alone, an empty cell empties them."""
    return {
        field: getattr(known, field)
        if known is not None and (known.elsewhere or field not in line.given)
        else getattr(line, field)
        for field in FIELDS
    }


async def _write(
    app: App,
    principal: Principal,
    course_id: UUID,
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
        made = await app.database.rows(
            statements.bring_in, rows=Jsonb(rows, dumps=orjson.dumps), origin=principal.origin
        )
    except UniqueViolation:
        raise AlreadyTaken("a user of the table was added meanwhile; try again") from None
    new = [row.id for row in made if row.email not in by_email or by_email[row.email].course_role is None]
    await app.database.rows(courses.join, course_id=course_id, user_ids=new, role=Role.STUDENT.value)


def _as_table(planned: list[RosterRow], tokens: dict[str, str]) -> str:
    admitted = [(row.name, row.email, tokens[row.email]) for row in planned if row.email in tokens]
    return csv_text([("name", "email", "token"), *admitted])
