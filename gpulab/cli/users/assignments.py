"""`gpulab assignments ...`: what a class is to hand in."""

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from gpulab.cli.failures import BadInput, ExitCode
from gpulab.cli.session import JobId, Session, print_json, session_command
from gpulab.cli.users.naming import User, find_user
from gpulab.states import STATE_WORDS
from gpulab.words import counted

if TYPE_CHECKING:
    from gpulab.schemas.assignments import AssignmentRead, ComparisonRead, StandingRead

app = typer.Typer(help="Assignments: create them, hand in, and see where the class stands.", no_args_is_help=True)

AssignmentName = Annotated[str, typer.Argument(metavar="ASSIGNMENT", help="Id or name of an assignment.")]


@session_command(app, "list")
def list_assignments(session: Session) -> None:
    """List assignments."""
    from gpulab.cli.tables import print_table

    found = list(session.client.users.assignments())
    if session.as_json:
        print_json(found)
        return
    rows = [
        [one.name, one.deadline_text or str(one.deadline), ", ".join((*one.templates, *one.experiments))]
        for one in found
    ]
    print_table(["ASSIGNMENT", "DEADLINE", "RUNS THAT COUNT"], rows)


@session_command(app)
def create(
    session: Session,
    name: Annotated[str, typer.Argument(help="A unique name.")],
    deadline: Annotated[
        str, typer.Option(help="Last day (2030-01-31) or a time (2030-01-31T18:00), in the lab's time zone.")
    ],
    template: Annotated[list[str] | None, typer.Option(help="A study template, such as course/1b; repeatable.")] = None,
    experiment: Annotated[list[str] | None, typer.Option(help="An experiment; repeatable.")] = None,
    tolerance: Annotated[float | None, typer.Option(help="Relative tolerance for re-runs.")] = None,
) -> None:
    """Create an assignment. For staff."""
    made = session.client.users.create_assignment(
        name, deadline, templates=template or (), experiments=experiment or (), tolerance=tolerance
    )
    if session.as_json:
        print_json(made)
    else:
        print(f"{made.id}  {made.name}, due {made.deadline_text}")


@session_command(app)
def overview(session: Session, assignment: AssignmentName) -> None:
    """Show where each student of the class stands. For staff."""
    from gpulab.cli.tables import print_table

    found = session.client.users.overview(find_assignment(session, assignment).id)
    if session.as_json:
        print_json(found)
        return
    states = ", ".join(f"{count} {state}" for state, count in found.states.items())
    print(f"{found.assignment.name}: {states}; {found.submitted} handed in")
    print_table(
        ["NAME", "SECTION", "TEAM", "STATE", "RUNS", "HANDED IN", "LAST FAILURE"],
        (_standing(one) for one in found.students),
    )


@session_command(app)
def pin(session: Session, assignment: AssignmentName, job: JobId) -> None:
    """Hand in one of your successful runs."""
    done = session.client.users.pin(find_assignment(session, assignment).id, session.job(job).id)
    if session.as_json:
        print_json(done)
    else:
        print(f"{done.job_id}  handed in{' late' if done.late else ''}")


@session_command(app)
def submissions(session: Session, assignment: AssignmentName) -> None:
    """List what the class handed in. For staff."""
    from gpulab.cli.tables import moment, print_table

    found = list(session.client.users.submissions(find_assignment(session, assignment).id))
    if session.as_json:
        print_json(found)
        return
    rows = [
        [
            one.user,
            str(one.job_id),
            moment(one.pinned_at),
            "late" if one.late else "",
            str(one.rerun_job_id or ""),
        ]
        for one in found
    ]
    print_table(["NAME", "RUN", "HANDED IN", "LATE", "RE-RUN"], rows)


@session_command(app)
def rerun(session: Session, assignment: AssignmentName, user: User) -> None:
    """Run a submission again, with its spec and seed. For staff."""
    job = session.client.users.rerun(find_assignment(session, assignment).id, find_user(session, user).id)
    if session.as_json:
        print_json(job)
    else:
        print(f"{job.id}  {job.experiment} {STATE_WORDS[job.state]}")


@session_command(app)
def compare(
    session: Session,
    assignment: AssignmentName,
    user: User,
    tolerance: Annotated[float | None, typer.Option(help="Relative tolerance. Default: the assignment's.")] = None,
) -> None:
    """Compare a re-run with the submission. Exits with 1 unless they are the same. For staff."""
    found = session.client.users.comparison(
        find_assignment(session, assignment).id, find_user(session, user).id, tolerance=tolerance
    )
    if session.as_json:
        print_json(found)
    else:
        _print_comparison(found)
    if found.verdict != "same":
        raise typer.Exit(ExitCode.JOB_FAILED)


def find_assignment(session: Session, text: str) -> "AssignmentRead":
    """The assignment named on the command line. Raises BadInput where there is none."""
    try:
        wanted: UUID | str = UUID(text)
    except ValueError:
        wanted = text
    for one in session.client.users.assignments():
        if wanted in (one.id, one.name):
            return one
    raise BadInput(f"no assignment has the id or name {text!r}; `gpulab assignments list` shows them")


def _standing(one: "StandingRead") -> list[str | None]:
    handed_in = "" if one.submission is None else "late" if one.submission.late else "yes"
    failure = one.last_failure
    stuck = (
        "" if failure is None or one.state != "stuck" else f"{failure.experiment}: {failure.message or failure.cause}"
    )
    return [one.name, one.section, one.team, one.state, f"{one.succeeded}/{one.runs}", handed_in, stuck]


def _print_comparison(found: "ComparisonRead") -> None:
    from gpulab.cli.tables import print_facts, print_table

    print_facts(
        [
            ("verdict", found.verdict),
            ("handed in", found.pinned_job_id),
            ("re-run", f"{found.again_job_id} ({found.again_state})"),
            ("seed", found.seed),
            ("compared", f"{counted(found.compared, 'value')} within {found.tolerance:g}"),
            *((f"version of {one.name}", f"{one.pinned} → {one.again}") for one in found.versions),
        ]
    )
    if found.differences:
        rows = [
            [
                one.path,
                str(one.pinned),
                str(one.again),
                "" if one.relative is None else f"{one.relative:.2g}",
                "" if one.judged else "not judged",
            ]
            for one in found.differences
        ]
        print_table(["VALUE", "HANDED IN", "RE-RUN", "RELATIVE", ""], rows)
