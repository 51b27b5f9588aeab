"""`gpulab get`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpulab.cli.each import attempt
from gpulab.cli.session import JobId, Session, print_json, session_command

if TYPE_CHECKING:
    from gpulab.client import Job
    from gpulab.schemas import ArtifactRead

app = typer.Typer()


@session_command(app)
def get(
    session: Session,
    job: JobId,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="Names of files. Default: all.")
    ] = None,
    to: Annotated[Path, typer.Option(help="Folder for the files; created if missing.")] = Path(),
    listing: Annotated[bool, typer.Option("--list", help="List the files without fetching them.")] = False,
) -> None:
    """Fetch the files of a run. Each is checked against its SHA-256."""
    found = session.job(job)
    artifacts = found.artifacts()
    if listing:
        _list(session, artifacts)
        return
    sizes = {artifact.name: artifact.size_bytes for artifact in artifacts}
    outcomes = attempt(session, names or sizes, lambda name: _fetch(session, found, name, to, sizes.get(name)), str)
    if session.as_json:
        files = [str(path) for path in outcomes.done.values()]
        print_json({"job_id": str(found.id), "files": files, "failed": list(outcomes.failed.values())})
    elif not sizes:
        print("This run has no files.")
    outcomes.finish()


def _fetch(session: Session, job: "Job", name: str, to: Path, size_bytes: int | None) -> Path:
    if session.as_json:
        return job.download(name, to)
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    # The bar is for eyes and goes to stderr; stdout gets the path, for scripts.
    screen = Console(stderr=True)
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as progress:
        task = progress.add_task(name, total=size_bytes)
        return job.download(name, to, on_progress=lambda done: progress.update(task, completed=done))


def _list(session: Session, artifacts: "list[ArtifactRead]") -> None:
    from gpulab.cli.tables import byte_size, print_table

    if session.as_json:
        print_json(artifacts)
        return
    print_table(
        ["NAME", "SIZE", "TYPE", "SHA-256"],
        ([file.name, byte_size(file.size_bytes), file.media_type, file.sha256] for file in artifacts),
    )
