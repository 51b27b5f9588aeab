"""`gpulab banner`."""

from typing import TYPE_CHECKING, Annotated

import typer

from gpulab.cli.session import Session, print_json, session_command, with_session
from gpulab.cli.users.naming import OfCourse, course_field, end_of

if TYPE_CHECKING:
    from gpulab.schemas.notifications import BannerRead

app = typer.Typer(help="Texts on every page of the dashboard.")

TIME = "A day (2030-01-31) or a time (2030-01-31T18:00) in your time zone."


def banners(session: Session, context: typer.Context) -> None:
    """List the texts that every page of the dashboard shows."""
    if context.invoked_subcommand is not None:
        return
    found = session.client.banners()
    if session.as_json:
        print_json(found)
        return
    if not found:
        print("No banners.")
    for one in found:
        print(f"{one.id}  {_line(one)}")


app.callback(invoke_without_command=True)(with_session(banners))


@session_command(app)
def show(
    session: Session,
    text: Annotated[str, typer.Argument(help="Plain text; web addresses become links.")],
    until: Annotated[str, typer.Option(help=f"Until when. {TIME}")],
    maintenance_from: Annotated[str | None, typer.Option(help=f"When a planned maintenance begins. {TIME}")] = None,
    course: OfCourse = None,
) -> None:
    """Show a text on every page, to the whole lab or to a course. For staff."""
    ends_at, starts_at = end_of(until), end_of(maintenance_from)
    assert ends_at is not None  # noqa: S101 - only a time that is left out is none
    made = session.client.create_banner(text, ends_at=ends_at, starts_at=starts_at, **course_field(session, course))
    print_json(made) if session.as_json else print(f"{made.id}  {_line(made)}")


@session_command(app)
def end(session: Session, banner: Annotated[str, typer.Argument(metavar="ID", help="Id of a banner.")]) -> None:
    """Show a text no longer. For staff."""
    session.client.end_banner(banner)
    print_json({"ended": banner}) if session.as_json else print("It is not shown any more.")


def _line(one: "BannerRead") -> str:
    from gpulab.cli.tables import moment, printable

    text = printable(" ".join(one.text.split()))
    if one.starts_at is not None and one.ends_at is not None:
        return f"Maintenance from {moment(one.starts_at)} to {moment(one.ends_at)}: {text}"
    return text if one.ends_at is None else f"{text} (until {moment(one.ends_at)})"
