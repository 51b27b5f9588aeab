"""`gpulab roster ...` and `gpulab assignments ...`: a class, and what it is to hand in."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from gpulab.cli.failures import BadInput, ExitCode
from gpulab.cli.files import private_file
from gpulab.cli.lab import JobId, Lab, lab_command, print_json
from gpulab.cli.users import Person, find
from gpulab.states import STATE_WORDS
from gpulab.words import counted

if TYPE_CHECKING:
    from gpulab.schemas.assignments import AssignmentRead, ComparisonRead, StandingRead
    from gpulab.schemas.roster import RosterImported

roster = typer.Typer(help="The class: sections, teams, and letting everybody in. For staff.", no_args_is_help=True)
assignments = typer.Typer(help="What is to be handed in, and how the class stands.", no_args_is_help=True)

AssignmentName = Annotated[str, typer.Argument(metavar="ASSIGNMENT", help="Its name or id.")]
TABLE_HELP = "Columns name, email, section, team; or an export of Canvas, Moodle, Gradescope or GitHub Classroom."
MOST_CHANGES_SHOWN = 40


@lab_command(roster)
def show(
    lab: Lab,
    section: Annotated[str | None, typer.Option(help="Only this section.")] = None,
    team: Annotated[str | None, typer.Option(help="Only this team.")] = None,
) -> None:
    """Show the class by section, team and name."""
    from gpulab.cli.tables import print_table

    found = lab.client.people.roster(section=section, team=team)
    if lab.as_json:
        print_json(found)
        return
    print_table(
        ["SECTION", "TEAM", "NAME", "EMAIL"], ([one.section, one.team, one.name, one.email] for one in found.users)
    )


@lab_command(roster, "import")
def import_roster(
    lab: Lab,
    table: Annotated[Path, typer.Argument(metavar="TABLE.csv", help=TABLE_HELP)],
    tokens: Annotated[Path | None, typer.Option(help="New file for the tokens of who is let in.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
) -> None:
    """Let a class in from a table, or bring it up to date: all of it, or nothing where a line is wrong."""
    content = table.read_bytes()
    if dry_run:
        _tell(lab, lab.client.people.import_roster(content, dry_run=True))
        return
    if tokens is None:
        raise BadInput("name a new file for the tokens with --tokens: they are shown once; or try --dry-run first")
    # Made before anybody is let in: a token that cannot be kept would be lost.
    with private_file(tokens) as file:
        done = lab.client.people.import_roster(content)
        try:
            file.write(done.tokens_csv or "")
            file.flush()
        except OSError as error:
            print(done.tokens_csv)
            raise BadInput(f"{tokens}: {error.strerror}; the tokens stand above and nowhere else, keep them") from None
    _tell(lab, done.model_copy(update={"tokens_csv": str(tokens) if done.tokens_csv else None}))


@lab_command(assignments, "list")
def list_assignments(lab: Lab) -> None:
    """List assignments."""
    from gpulab.cli.tables import print_table

    found = list(lab.client.people.assignments())
    if lab.as_json:
        print_json(found)
        return
    rows = [
        [one.name, one.deadline_text or str(one.deadline), ", ".join((*one.templates, *one.experiments))]
        for one in found
    ]
    print_table(["ASSIGNMENT", "DEADLINE", "BELONGING"], rows)


@lab_command(assignments)
def create(
    lab: Lab,
    name: Annotated[str, typer.Argument(help="What it is called; unique.")],
    deadline: Annotated[str, typer.Option(help="A date, to its end, or 2030-01-31T18:00; in the lab's time zone.")],
    template: Annotated[list[str] | None, typer.Option(help="A study template, such as course/1b; repeatable.")] = None,
    experiment: Annotated[list[str] | None, typer.Option(help="An experiment; repeatable.")] = None,
    tolerance: Annotated[float | None, typer.Option(help="Relative; for re-runs.")] = None,
) -> None:
    """Set an assignment. For staff."""
    made = lab.client.people.create_assignment(
        name, deadline, templates=template or (), experiments=experiment or (), tolerance=tolerance
    )
    if lab.as_json:
        print_json(made)
    else:
        print(f"{made.id}  {made.name}, until {made.deadline_text}")


@lab_command(assignments)
def overview(lab: Lab, assignment: AssignmentName) -> None:
    """Show who has a successful run, who is stuck and on what, who has none. For staff."""
    from gpulab.cli.tables import print_table

    found = lab.client.people.overview(_assignment(lab, assignment).id)
    if lab.as_json:
        print_json(found)
        return
    states = ", ".join(f"{count} {state}" for state, count in found.states.items())
    print(f"{found.assignment.name}: {states}; {found.submitted} handed in")
    print_table(
        ["NAME", "SECTION", "TEAM", "STATE", "RUNS", "HANDED IN", "STUCK ON"],
        (_standing(one) for one in found.students),
    )


@lab_command(assignments)
def pin(lab: Lab, assignment: AssignmentName, job: JobId) -> None:
    """Hand in a run of yours that succeeded."""
    done = lab.client.people.pin(_assignment(lab, assignment).id, lab.job(job).id)
    if lab.as_json:
        print_json(done)
    else:
        print(f"{done.job_id}  handed in{' late' if done.late else ''}")


@lab_command(assignments)
def submissions(lab: Lab, assignment: AssignmentName) -> None:
    """Show what the class handed in. For staff."""
    from gpulab.cli.tables import print_table

    found = list(lab.client.people.submissions(_assignment(lab, assignment).id))
    if lab.as_json:
        print_json(found)
        return
    rows = [
        [
            one.user,
            str(one.job_id),
            f"{one.pinned_at:%Y-%m-%d %H:%M}",
            "late" if one.late else "",
            str(one.rerun_job_id or ""),
        ]
        for one in found
    ]
    print_table(["NAME", "JOB", "WHEN (UTC)", "", "RUN AGAIN"], rows)


@lab_command(assignments)
def rerun(lab: Lab, assignment: AssignmentName, person: Person) -> None:
    """Run again what somebody handed in, with its spec and seed. For staff."""
    job = lab.client.people.rerun(_assignment(lab, assignment).id, find(lab, person).id)
    if lab.as_json:
        print_json(job)
    else:
        print(f"{job.id}  {job.experiment} {STATE_WORDS[job.state]}")


@lab_command(assignments)
def compare(
    lab: Lab,
    assignment: AssignmentName,
    person: Person,
    tolerance: Annotated[float | None, typer.Option(help="Relative; else the assignment's.")] = None,
) -> None:
    """Hold the re-run against what was handed in; exit 1 unless they are the same. For staff."""
    found = lab.client.people.comparison(_assignment(lab, assignment).id, find(lab, person).id, tolerance=tolerance)
    if lab.as_json:
        print_json(found)
    else:
        _print_comparison(found)
    if found.verdict != "same":
        raise typer.Exit(ExitCode.JOB_FAILED)


def _assignment(lab: Lab, text: str) -> "AssignmentRead":
    """The assignment named on the command line. Raises BadInput where there is none."""
    try:
        wanted: UUID | str = UUID(text)
    except ValueError:
        wanted = text
    for one in lab.client.people.assignments():
        if wanted in (one.id, one.name):
            return one
    raise BadInput(f"no assignment is called {text!r}; see `gpulab assignments list`")


def _tell(lab: Lab, done: "RosterImported") -> None:
    from gpulab.cli.tables import print_table, printable

    if lab.as_json:
        print_json(done)
        return
    would = "would be " if done.dry_run else ""
    print(f"{done.created} {would}let in, {done.changed} {would}changed, {done.kept} as they were")
    changed = [row for row in done.rows if row.action != "keep"]
    rows = [
        [
            str(row.line),
            row.action,
            row.name,
            ", ".join(f"{one.field}: {one.before or '-'} → {one.after or '-'}" for one in row.changes),
        ]
        for row in changed[:MOST_CHANGES_SHOWN]
    ]
    if rows:
        print_table(["LINE", "", "NAME", "WHAT"], rows)
    if len(changed) > MOST_CHANGES_SHOWN:
        print(f"and {len(changed) - MOST_CHANGES_SHOWN} more")
    for notice in done.notices:
        print(f"note: {printable(notice)}")
    if done.missing:
        print(f"in the lab and not in the table: {', '.join(done.missing)}")
    if done.tokens_csv:
        print(f"tokens: {done.tokens_csv}")


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
            ("run again", f"{found.again_job_id} ({found.again_state})"),
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
        print_table(["VALUE", "HANDED IN", "AGAIN", "RELATIVE", ""], rows)
