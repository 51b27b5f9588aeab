"""`gpulab assignments ...` with programs: the starter and the hidden check."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpulab.cli.failures import BadInput, ExitCode
from gpulab.cli.jobs.run import RunCommand, without_dashes
from gpulab.cli.session import Session, print_json, with_session
from gpulab.cli.session import session_command as command
from gpulab.cli.specs.submission import seconds
from gpulab.cli.users.assignments import AssignmentName, find_assignment
from gpulab.cli.users.naming import User, find_user
from gpulab.cli.users.setting import app

if TYPE_CHECKING:
    from gpulab.client.programs import LocalRun
    from gpulab.schemas.assignments import CheckRead

__all__ = ["app"]

Target = Annotated[str, typer.Argument(metavar="SCRIPT.py|NOTEBOOK.ipynb|FOLDER", help="The program.")]
Arguments = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ARGUMENTS]...", help="Arguments of the script; for a folder, the command after `--`."),
]


@command(app)
def starter(
    session: Session,
    assignment: AssignmentName,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the files.", show_default="the assignment's name")
    ] = None,
) -> None:
    """Download the program from which you begin."""
    found = find_assignment(session, assignment)
    if found.starter is None:
        raise BadInput(f"{found.name} has no starter program")
    folder = session.client.programs.download(
        found.starter.spec["program"], out or Path(found.name.replace("/", "-").strip("."))
    )
    if session.as_json:
        print_json({"folder": str(folder), **found.starter.model_dump()})
    else:
        print(f"{folder}  run it with: {_how_to_run(folder, found.starter.spec)}")


def set_starter(session: Session, assignment: AssignmentName, target: Target, arguments: Arguments = None) -> None:
    """Give students a program to begin with. For staff."""
    found = find_assignment(session, assignment)
    local, spec = _sent(session, target, arguments)
    starter_order = {"experiment": local.experiment, "spec": spec}
    changed = session.client.users.change_assignment(found.id, starter=starter_order)
    _print(session, changed, f"{changed.name}  students start with {local.name}")


def set_check(
    session: Session,
    assignment: AssignmentName,
    target: Target,
    arguments: Arguments = None,
    points: Annotated[float, typer.Option(help="Maximum points of the check.")] = 10.0,
    time_limit: Annotated[str, typer.Option(help="Time limit of a check: seconds, or 90s, 30m, 2h.")] = "10m",
) -> None:
    """Check each hand-in with a program that students never see. For staff."""
    found = find_assignment(session, assignment)
    local, spec = _sent(session, target, arguments)
    if local.experiment != "script":
        raise BadInput("a check is a script, or a folder with a command")
    check_order = {"spec": spec, "max_points": points, "time_limit_seconds": seconds(time_limit)}
    changed = session.client.users.change_assignment(found.id, hidden_check=check_order)
    _print(session, changed, f"{changed.name}  submissions are checked by {local.name}, {points:g} points maximum")


@command(app)
def check(
    session: Session,
    assignment: AssignmentName,
    user: User,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the check, and show what it says.")] = False,
) -> None:
    """Run the hidden check of a submission again. For staff."""
    homework, student = find_assignment(session, assignment).id, find_user(session, user).id
    done = session.client.users.check(homework, student)
    if not wait or done.check is None or done.check.job_id is None:
        _print(session, done, f"{done.user}  is checked again")
        return
    session.client.job(done.check.job_id).wait()
    done = next(one for one in session.client.users.submissions(homework) if one.user_id == student)
    _print(session, done, f"{done.user}  {_verdict(done.check)}")
    if done.check is not None and done.check.state == "failed":
        raise typer.Exit(ExitCode.JOB_FAILED)


def _verdict(check: "CheckRead | None") -> str:
    if check is None:
        return "is not checked any more"
    points = "no points" if check.points is None else f"{check.points:g} of {check.max_points:g} points"
    from gpulab.cli.tables import printable

    return points if check.words is None else f"{points}: {printable(check.words)}"


def _sent(session: Session, target: str, arguments: list[str] | None) -> "tuple[LocalRun, dict[str, Any]]":
    """The program, which the lab has now, and the spec that runs it."""
    from gpulab.client.programs import local_run

    programs = session.client.programs
    local = local_run(target, without_dashes(arguments or []), limits=programs.limits())
    sent = programs.send(local.program, name=local.name, git=local.git)
    return local, {"program": sent.sha256, **local.spec}


def _how_to_run(folder: Path, spec: dict[str, Any]) -> str:
    if "notebook" in spec:
        return shlex.join(["gpulab", "run", str(folder / spec["notebook"])])
    return shlex.join(["gpulab", "run", str(folder), "--", *spec["command"], *spec.get("arguments", [])])


def _print(session: Session, found: Any, line: str) -> None:
    if session.as_json:
        print_json(found)
    else:
        print(line)


app.command(cls=RunCommand)(with_session(set_starter))
app.command(cls=RunCommand)(with_session(set_check))
