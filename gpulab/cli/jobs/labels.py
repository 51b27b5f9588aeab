"""`gpulab rename`, `gpulab tag` and `gpulab note`."""

from typing import TYPE_CHECKING, Annotated

import typer

from gpulab.cli.failures import BadInput
from gpulab.cli.session import JobId, Session, print_json, session_command

if TYPE_CHECKING:
    from gpulab.client import Job

app = typer.Typer()


@session_command(app)
def rename(
    session: Session,
    job: JobId,
    name: Annotated[str | None, typer.Argument(help="The new name. Without it, the name is removed.")] = None,
) -> None:
    """Give a run another name."""
    _show(session, session.job(job).change(name=name))


@session_command(app)
def tag(
    session: Session,
    job: JobId,
    tags: Annotated[list[str] | None, typer.Argument(metavar="[TAG...]", help="Tags to add.")] = None,
    remove: Annotated[list[str] | None, typer.Option("--remove", help="A tag to remove; may be repeated.")] = None,
) -> None:
    """Add tags to a run, or remove some."""
    if not (tags or remove):
        raise BadInput("name tags to add, or remove some with --remove")
    found = session.job(job)
    gone = set(remove or ())
    kept = [one for one in dict.fromkeys([*found.data.tags, *(tags or ())]) if one not in gone]
    _show(session, found.change(tags=kept))


@session_command(app)
def note(
    session: Session,
    job: JobId,
    text: Annotated[str | None, typer.Argument(help="The note. Without it, the note is printed.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the note.")] = False,
) -> None:
    """Write a note on a run, or show it."""
    from gpulab.cli.tables import printable

    if remove and text is not None:
        raise BadInput("write a note or remove it, not both")
    found = session.job(job)
    if text is not None or remove:
        found = found.change(note=text)
    if session.as_json:
        print_json(found.data)
    elif found.note is not None:
        print("\n".join(printable(line) for line in found.note.splitlines()))
    else:
        print("This run has no note.")


def _show(session: Session, job: "Job") -> None:
    if session.as_json:
        print_json(job.data)
    else:
        print("  ".join([str(job.id), job.name or job.experiment, *(f"#{tag}" for tag in job.data.tags)]))
