"""`gpulab assignments ...`: what a class is to hand in."""

from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from gpulab.cli.failures import BadInput, ExitCode
from gpulab.cli.session import AsJson, JobId, Session, TokenFile, Url, print_json, session_command
from gpulab.cli.users.naming import User, find_user
from gpulab.words import counted

if TYPE_CHECKING:
    from gpulab.schemas.assignments import AssignmentRead, ComparisonRead, StandingRead, SubmissionRead, WorkRead
    from gpulab.schemas.assignments.grades import GradeRead

app = typer.Typer(help="Assignments: what is due, handing in, and the progress of the class.")

NO_MATCH = "No student matches."
MAX_NAMED = 10
"""Assignments that a message names."""

AssignmentName = Annotated[str, typer.Argument(metavar="ASSIGNMENT", help="Id or name of an assignment.")]


@app.callback(invoke_without_command=True)
def root(context: typer.Context, url: Url = None, token_file: TokenFile = None, as_json: AsJson = False) -> None:
    """Assignments: what is due, handing in, and the progress of the class. Without a command: the list."""
    if context.invoked_subcommand is None:
        with closing(Session(url, token_file, as_json)) as session:
            _list(session)
    elif (url, token_file, as_json) != (None, None, False):
        raise BadInput(f"put the options after the command: gpulab assignments {context.invoked_subcommand} ...")


@session_command(app, "list")
def list_assignments(session: Session) -> None:
    """List assignments by deadline, with what you handed in."""
    _list(session)


def _list(session: Session) -> None:
    from gpulab.cli.tables import print_table, until

    found = sorted(session.client.users.assignments(), key=_due)
    if session.as_json:
        print_json(found)
    elif not found:
        print("No assignments yet.")
    else:
        columns = ["ASSIGNMENT", "DUE", "", "HANDED IN", "RUNS THAT COUNT"]
        rows = [
            [
                one.name,
                _minute(_due(one)),
                until(_due(one)),
                _handed_in(one),
                ", ".join((*one.templates, *one.experiments)),
            ]
            for one in found
        ]
        if session.client.me().teaches and all(one.your_submission is None for one in found):
            # Instructors have nothing to hand in; `overview` says who of the class has.
            for row in (columns, *rows):
                del row[3]
        print_table(columns, rows)


@session_command(app)
def show(session: Session, assignment: AssignmentName) -> None:
    """Show what is due, what counts, what is missing, and what you handed in."""
    from gpulab.cli.tables import print_facts, printable, until

    found = session.client.users.work(find_assignment(session, assignment).id)
    if session.as_json:
        print_json(found)
        return
    one = found.assignment
    print_facts(
        [
            ("assignment", one.name),
            ("due", f"{_minute(_due(one))} ({until(_due(one))}), lab time {one.your_deadline_text}"),
            *(("deadline moved", f"from {_minute(change.before)}") for change in one.deadline_changes[-1:]),
            ("late work", late_policy(one)),
            ("correct answers", "shown after the deadline" if one.answers_after_deadline else "shown from the start"),
            ("starter", one.starter and f'gpulab assignments starter "{one.name}"'),
            ("points", None if one.max_points is None else f"at most {one.max_points:g}"),
            ("handed in", _handed_in(one)),
            *grade_facts(one.your_grade),
        ]
    )
    for line in (one.description or "").splitlines():
        print(f"  {printable(line)}".rstrip())
    _print_work(found)


def _print_work(found: "WorkRead") -> None:
    from gpulab.cli.tables import moment, print_table, styled

    rows = [[part.name, f"{part.succeeded} of {part.runs} succeeded", part.title] for part in found.parts]
    print_table(["COUNTS", "YOUR RUNS", "TITLE"], rows)
    if found.runs:
        print_table(
            ["RUN", "STATE", "SUBMITTED", "NAME"],
            (
                [str(run.id), styled(run.state), moment(run.submitted_at), run.name or run.experiment]
                for run in found.runs
            ),
        )


def grade_facts(grade: "GradeRead | None") -> list[tuple[str, object]]:
    """Points, what the late days took off, rubric and comment, as lines for `print_facts`."""
    if grade is None:
        return []
    most = "" if grade.max_points is None else f" of {grade.max_points:g}"
    points = None if grade.final_points is None else f"{grade.final_points:g}{most}"
    cost = f"{grade.points:g} points, {grade.deduction:g} {grade.deduction_unit} deducted" if grade.points else ""
    return [
        ("grade", points),
        ("late", f"{cost} for {counted(grade.days_late, 'day')}" if grade.deduction else None),
        *((f"  {line.text}", f"{line.points:g}") for line in grade.rubric),
        ("comment", grade.comment),
    ]


def late_policy(one: "AssignmentRead") -> str:
    """`accepted for 3 days, 10 percent deducted for each day`."""
    if one.late_days == 0:
        return "not accepted"
    span = "without a limit" if one.late_days is None else f"for {counted(one.late_days, 'day')}"
    cost = f", {one.late_deduction:g} {one.late_deduction_unit} deducted for each day" if one.late_deduction else ""
    return f"accepted {span}{cost}"


def _due(one: "AssignmentRead") -> datetime:
    return one.your_deadline or one.deadline


def _minute(at: datetime) -> str:
    """In the user's zone, which it names."""
    return f"{at.astimezone():%Y-%m-%d %H:%M %Z}"


def _handed_in(one: "AssignmentRead") -> str:
    submission = one.your_submission
    if submission is None:
        return "nothing yet"
    return f"{submission.name or submission.job_id}{_late(submission)}"


def _late(submission: "SubmissionRead") -> str:
    if not submission.late:
        return ""
    cost = f", {submission.deduction:g} {submission.deduction_unit} deducted" if submission.deduction else ""
    return f", {counted(submission.days_late, 'day')} late{cost}"


@session_command(app)
def overview(
    session: Session,
    assignment: AssignmentName,
    state: Annotated[str | None, typer.Option(help="Only this state, such as stuck or not_started.")] = None,
    section: Annotated[str | None, typer.Option(help="Only this section.")] = None,
    team: Annotated[str | None, typer.Option(help="Only this team.")] = None,
    text: Annotated[str | None, typer.Option(help="Part of a name or e-mail address.")] = None,
) -> None:
    """Show where each student of the class stands. For staff."""
    from gpulab.cli.tables import print_table

    found = session.client.users.overview(
        find_assignment(session, assignment).id, state=state_named(state), section=section, team=team, text=text
    )
    if session.as_json:
        print_json(found)
        return
    if not found.students:
        print(NO_MATCH)
        return
    states = ", ".join(f"{count} {_words(name)}" for name, count in found.states.items())
    print(f"{found.assignment.name}: {states}")
    print_table(
        ["NAME", "SECTION", "TEAM", "STATE", "RUNS", "HANDED IN", "LAST FAILURE"],
        (_standing(one) for one in found.students),
    )


@session_command(app)
def hand_in(session: Session, assignment: AssignmentName, job: JobId) -> None:
    """Hand in one of your successful runs. It replaces the one before."""
    done = session.client.users.pin(find_assignment(session, assignment).id, session.job(job).id)
    if session.as_json:
        print_json(done)
    else:
        print(f"{done.name or done.job_id}  handed in{_late(done)}")


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
    """The assignment named on the command line. Raises BadInput where there is none, or several."""
    try:
        wanted: UUID | str = UUID(text)
    except ValueError:
        wanted = text
    known = list(session.client.users.assignments())
    found = [one for one in known if wanted in (one.id, one.name)]
    found = found or [one for one in known if one.name.casefold() == text.casefold()]
    if not found:
        names = ", ".join(repr(one.name) for one in known[:MAX_NAMED])
        raise BadInput(f"no assignment has the id or name {text!r}; there are: {names or 'none yet'}")
    if len(found) > 1:
        named: dict[UUID | None, str] = {course.id: course.name for course in session.client.courses.all()}
        ids = ", ".join(f"{one.id} ({named.get(one.course_id)})" for one in found)
        raise BadInput(f"{len(found)} of your courses have an assignment called {text!r}: use the id: {ids}")
    return found[0]


def _standing(one: "StandingRead") -> list[str | None]:
    handed_in = "" if one.submission is None else "late" if one.submission.late else "yes"
    failure = one.last_failure
    stuck = (
        "" if failure is None or one.state != "stuck" else f"{failure.experiment}: {failure.message or failure.cause}"
    )
    return [one.name, one.section, one.team, _words(one.state), _runs(one), handed_in, stuck]


def state_named(text: str | None) -> str | None:
    """The state that is meant: `handed in` and `has a good run` as lists show them, or the lab's own name."""
    return None if text is None else text.strip().removeprefix("has a ").replace(" ", "_").replace("-", "_")


def _words(state: str) -> str:
    return state.replace("_", " ")


def _runs(one: "StandingRead") -> str:
    earlier = f" (+{one.earlier_runs} before)" if one.earlier_runs else ""
    return f"{one.succeeded}/{one.runs}{earlier}"


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
