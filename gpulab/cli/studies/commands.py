"""`gpulab study ...`: many runs that answer one question."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpulab.cli.failures import ExitCode
from gpulab.cli.jobs.deleting import Yes, confirm
from gpulab.cli.session import Session, StudyId, print_json, session_command
from gpulab.cli.specs.submission import Submission, is_file
from gpulab.cli.users.naming import OfCourse, OnlyCourse, course_field, find_course
from gpulab.words import counted

if TYPE_CHECKING:
    from gpulab.client import Study
    from gpulab.schemas import StudyRead

app = typer.Typer(help="Studies: sets of runs that answer one question.", no_args_is_help=True)

Wait = Annotated[bool, typer.Option("--wait", help="Wait until it ends; exit with 1 unless every run succeeds.")]
SeedCount = Annotated[int | None, typer.Option("--seeds", min=1, max=200, help="Number of seeds: 0, 1, 2, ...")]


@session_command(app)
def submit(
    session: Session,
    target: Annotated[
        str, typer.Argument(metavar="TEMPLATE|GRID.yaml", help="A template such as course/1b or course/all, or a file.")
    ],
    scale: Annotated[str | None, typer.Option(help="smoke, cpu or full.", show_default="cpu")] = None,
    seeds: SeedCount = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Run again even runs that succeeded before.")] = False,
    name: Annotated[str | None, typer.Option(help="A name that you will recognise.")] = None,
    priority: Annotated[str | None, typer.Option(help="high, normal or low.", show_default="normal")] = None,
    course: OfCourse = None,
    key: Annotated[
        str | None, typer.Option("--idempotency-key", help="The same key and content return the same study.")
    ] = None,
    wait: Wait = False,
) -> None:
    """Queue every run of a template, or of a grid in a file."""
    submission = _read_submission(target)
    chosen = {
        "scale": scale,
        "seeds": None if seeds is None else list(range(seeds)),
        "fresh": fresh or None,
        "name": name,
        "priority": priority,
    }
    submission.fields |= {option: value for option, value in chosen.items() if value is not None}
    submission.fields |= course_field(session, course)
    with submission.named():
        study = session.client.submit_study(**submission.fields, idempotency_key=key)
    _show_line_or_follow(session, study, wait=wait)


@session_command(app)
def templates(session: Session) -> None:
    """List the templates of the installed question sets."""
    from gpulab.cli.tables import print_table

    found = session.client.question_sets()
    if session.as_json:
        print_json(found)
        return
    if not found:
        print("No question set is installed in this lab.")
        return
    rows = [
        template
        for question_set in found
        for template in (question_set.whole, *question_set.parts, *question_set.questions)
    ]
    print_table(["TEMPLATE", "TITLE"], ([row.template, row.title] for row in rows))


@session_command(app, "list")
def list_studies(
    session: Session,
    owner: Annotated[str | None, typer.Option(help="Only studies of this user: name, email address or id.")] = None,
    text: Annotated[str | None, typer.Option(help="Part of a name, title or template.")] = None,
    course: OnlyCourse = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number, newest first.")] = 20,
) -> None:
    """List studies."""
    from gpulab.cli.tables import ago, print_table

    of = None if course is None else str(find_course(session, course))
    found = [study.data for study in session.client.studies(owner=owner, text=text, course=of, limit=limit)]
    if session.as_json:
        print_json(found)
        return
    rows = [
        [
            *(str(one.id), one.state, f"{one.progress:.0%}", str(one.runs)),
            *(ago(one.created_at), one.owner, one.name or one.title),
        ]
        for one in found
    ]
    print_table(["STUDY", "STATE", "DONE", "RUNS", "AGE", "OWNER", "TITLE"], rows)


@session_command(app)
def show(session: Session, study: StudyId) -> None:
    """Show a study: its runs by state, and a comparison of their results."""
    found = session.study(study)
    if session.as_json:
        print_json(found.data)
    else:
        _print_study(found)


@session_command(app)
def watch(session: Session, study: StudyId) -> None:
    """Follow a study until every run has ended. Exits with 1 unless all succeed."""
    _follow(session, session.study(study))


@session_command(app)
def cancel(session: Session, study: StudyId) -> None:
    """Cancel every run that has not ended."""
    _show_line(session, session.study(study).cancel())


@session_command(app)
def retry(session: Session, study: StudyId, wait: Wait = False) -> None:
    """Run again what failed or was cancelled."""
    _show_line_or_follow(session, session.study(study).retry(), wait=wait)


@session_command(app)
def delete(session: Session, study: StudyId, yes: Yes = False) -> None:
    """Delete a study that is over, with its runs and its reports. It cannot be undone."""
    found = session.study(study)
    confirm(session, f"Delete the study {found.data.name or found.data.title!r} with its runs?", yes=yes)
    done = found.delete()
    if session.as_json:
        print_json(done)
        return
    kept = f"; {counted(done.runs_kept, 'run')} kept: handed in or reused" if done.runs_kept else ""
    print(f"{found.id}  deleted with {counted(done.runs_deleted, 'run')}{kept}")


@session_command(app)
def seeds(
    session: Session,
    study: StudyId,
    seed: Annotated[list[int], typer.Argument(metavar="SEED...", help="Seeds to add.")],
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Run them even if you have successful runs with the same spec and seed.")
    ] = False,
    wait: Wait = False,
) -> None:
    """Add seeds. Existing runs stay."""
    _show_line_or_follow(session, session.study(study).add_seeds(seed, fresh=fresh), wait=wait)


@session_command(app)
def report(
    session: Session,
    study: StudyId,
    to: Annotated[Path, typer.Option(help="Folder for the report; created if missing.")] = Path("report"),
    form: Annotated[str | None, typer.Option("--format", help="Fetch one file only: html, md or json.")] = None,
    show_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Fetch the report once every run has ended: the page, Markdown, findings and images."""
    paths = session.study(study).report(to, form)
    if session.as_json:
        print_json({"files": [str(path) for path in paths]})
    else:
        for path in paths:
            print(path)
    if show_page and (page := to / "report.html").exists():
        typer.launch(str(page))


def _read_submission(target: str) -> Submission:
    from gpulab.cli.specs.spec_files import read_mapping
    from gpulab.schemas import StudyCreate

    if not is_file(target):
        return Submission({"template": target})
    found = read_mapping(Path(target), StudyCreate)
    return Submission(found.content, [("", found)])


def _follow(session: Session, study: "Study") -> None:
    if session.as_json:
        study.wait()
        print_json(study.data)
    else:
        from gpulab.cli.studies.progress import follow_study

        follow_study(study)
        _print_study(study)
    if study.state != "succeeded":
        raise typer.Exit(ExitCode.JOB_FAILED)


def _show_line_or_follow(session: Session, study: "Study", *, wait: bool) -> None:
    (_follow if wait else _show_line)(session, study)


def _show_line(session: Session, study: "Study") -> None:
    from gpulab.cli.tables import tally

    if session.as_json:
        print_json(study.data)
        return
    print(f"{study.id}  {tally(study.data.states)}, {study.data.reused} reused")


def _print_study(study: "Study") -> None:
    from gpulab.cli.tables import print_facts, print_table, tally

    data = study._loaded()
    print_facts(
        [
            ("study", data.id),
            ("title", data.name or data.title),
            ("state", data.state),
            ("runs", tally(data.states)),
            ("reused", data.reused),
            ("seeds", ", ".join(map(str, data.seeds))),
            ("report", data.report_job_id),
            *(("note", note) for note in data.notes),
        ]
    )
    if data.questions:
        print()
        print_table(
            ["QUESTION", "DONE", "SUCCEEDED", "TITLE"],
            ([one.question, f"{one.final}/{one.runs}", str(one.succeeded), one.title] for one in data.questions),
        )
    else:
        print()
        _print_comparison(data)
    if any(cell.reported_by == "program" for cell in data.comparison):
        print("\nPrograms report their results themselves; the lab did not measure them.")
    for cell in data.comparison:
        for run in (*cell.collapsed, *cell.failed):
            where = ", ".join(f"{key}={value}" for key, value in cell.cell.items()) or cell.experiment
            print(f"seed {run.seed} of {where}: {run.why} (job {run.job_id})")


def _print_comparison(data: "StudyRead") -> None:
    from gpulab.cli.tables import print_table

    rows = [
        [
            ", ".join(f"{key}={value}" for key, value in cell.cell.items()) or cell.experiment,
            name,
            f"{found.mean:.6g}",
            "" if found.sd is None else f"{found.sd:.3g}",
            f"{found.min:.6g}",
            f"{found.max:.6g}",
            str(found.n),
        ]
        for cell in data.comparison
        for name, found in cell.fields.items()
    ]
    print_table(["CELL", "QUANTITY", "MEAN", "SD", "MIN", "MAX", "N"], rows)
