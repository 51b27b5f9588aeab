"""`gpulab roster ...`: the class as a table."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpulab.cli.failures import BadInput
from gpulab.cli.files import private_file
from gpulab.cli.session import Session, print_json, session_command
from gpulab.cli.users.naming import OfCourse, course_field, find_course

if TYPE_CHECKING:
    from gpulab.schemas.roster import RosterImported, RosterRow

app = typer.Typer(help="The class: sections, teams, and the import of a roster. For staff.", no_args_is_help=True)

TABLE_HELP = "Columns name, email, section, team; or an export of Canvas, Moodle, Gradescope or GitHub Classroom."
MAX_CHANGES_SHOWN = 40


@session_command(app)
def show(
    session: Session,
    section: Annotated[str | None, typer.Option(help="Only this section.")] = None,
    team: Annotated[str | None, typer.Option(help="Only this team.")] = None,
    course: OfCourse = None,
) -> None:
    """Show the class by section, team and name."""
    from gpulab.cli.tables import print_table

    of = None if course is None else find_course(session, course)
    found = session.client.users.roster(section=section, team=team, course=of)
    if session.as_json:
        print_json(found)
        return
    if not found.users:
        print("No student matches.")
        return
    print_table(
        ["SECTION", "TEAM", "NAME", "EMAIL"], ([one.section, one.team, one.name, one.email] for one in found.users)
    )


@session_command(app, "import")
def import_roster(
    session: Session,
    table: Annotated[Path, typer.Argument(metavar="TABLE.csv", help=TABLE_HELP)],
    tokens: Annotated[Path | None, typer.Option(help="New file for the tokens of the new users.")] = None,
    course: OfCourse = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, without changing it.")] = False,
) -> None:
    """Add or update a class from a table. If a line is wrong, nothing changes."""
    content, of = table.read_bytes(), course_field(session, course)
    if dry_run:
        _tell(session, session.client.users.import_roster(content, dry_run=True, **of))
        return
    if tokens is None:
        _require_nobody_new(session, content, of)
        _tell(session, session.client.users.import_roster(content, **of))
        return
    # Made before anybody is let in: a token that cannot be kept would be lost.
    with private_file(tokens) as file:
        done = session.client.users.import_roster(content, **of)
        try:
            file.write(done.tokens_csv or "")
            file.flush()
        except OSError as error:
            print(done.tokens_csv)
            raise BadInput(
                f"{tokens}: {error.strerror}; the tokens above are not saved anywhere else, so copy them"
            ) from None
    _tell(session, done.model_copy(update={"tokens_csv": str(tokens) if done.tokens_csv else None}))


def _require_nobody_new(session: Session, content: bytes, of: dict[str, Any]) -> None:
    if new := session.client.users.import_roster(content, dry_run=True, **of).created:
        raise BadInput(
            f"{new} new users get a token, which is shown only once: name a new file for the tokens with --tokens, "
            "or use --dry-run first"
        )


def _changes(row: "RosterRow") -> str:
    """A new user's email and section, or what changes."""
    if row.action == "create":
        return ", ".join([row.email, *(f"{one.field} {one.after}" for one in row.changes if one.field != "name")])
    return ", ".join(f"{one.field}: {one.before or '-'} → {one.after or '-'}" for one in row.changes)


def _tell(session: Session, done: "RosterImported") -> None:
    from gpulab.cli.tables import print_table, printable

    if session.as_json:
        print_json(done)
        return
    would = "would be " if done.dry_run else ""
    print(f"{done.created} {would}added, {done.changed} {would}changed, {done.kept} unchanged")
    changed = [row for row in done.rows if row.action != "keep"]
    rows = [[str(row.line), row.action, row.name, _changes(row)] for row in changed[:MAX_CHANGES_SHOWN]]
    if rows:
        print_table(["LINE", "ACTION", "NAME", "CHANGES"], rows)
    if len(changed) > MAX_CHANGES_SHOWN:
        print(f"and {len(changed) - MAX_CHANGES_SHOWN} more")
    for notice in done.notices:
        print(f"note: {printable(notice)}")
    if done.missing:
        print(f"in the lab, but not in the table: {', '.join(done.missing)}")
    if done.tokens_csv:
        print(f"tokens: {done.tokens_csv}")
