"""`gpulab submit`."""

from typing import Annotated

import typer

from gpulab.cli.jobs import dry_run as dry_runs
from gpulab.cli.jobs.watch import Wait, follow_to_end
from gpulab.cli.session import Session, print_json, session_command
from gpulab.cli.specs.submission import read_submission, seconds
from gpulab.cli.users.naming import OfCourse, course_field
from gpulab.states import STATE_WORDS

app = typer.Typer()


@session_command(app)
def submit(
    session: Session,
    experiment: Annotated[
        str,
        typer.Argument(
            metavar="EXPERIMENT|SPEC.yaml", help="An experiment, or a file that names one; - is standard input."
        ),
    ],
    spec: Annotated[str | None, typer.Option(help="The spec: a JSON object, or a YAML or JSON file.")] = None,
    parameters: Annotated[
        list[str] | None,
        typer.Option("-p", "--param", metavar="KEY=VALUE", help="Set one field of the spec; repeatable."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed.", show_default="0")] = None,
    name: Annotated[str | None, typer.Option(help="A name that you will recognise.")] = None,
    tags: Annotated[list[str] | None, typer.Option("--tag", help="A label to filter by; repeatable.")] = None,
    priority: Annotated[str | None, typer.Option(help="high, normal or low.", show_default="normal")] = None,
    time_limit: Annotated[str | None, typer.Option(help="Time limit of the run: seconds, or 90s, 30m, 2h.")] = None,
    gpus: Annotated[int | None, typer.Option(help="Number of GPUs, on one machine; 0 for the CPU.")] = None,
    exclusive: Annotated[bool | None, typer.Option(help="Reserve whole GPUs.", show_default=False)] = None,
    course: OfCourse = None,
    key: Annotated[
        str | None, typer.Option("--idempotency-key", help="The same key and content return the same job.")
    ] = None,
    wait: Wait = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the submission without queueing it.")] = False,
) -> None:
    """Queue one run of an experiment."""
    submission = read_submission(experiment, spec, parameters or [])
    chosen = {
        "seed": seed,
        "name": name,
        "tags": tags or None,
        "priority": priority,
        "time_limit_seconds": None if time_limit is None else seconds(time_limit),
        "gpus": gpus,
        "exclusive": exclusive,
    }
    submission.fields |= {option: value for option, value in chosen.items() if value is not None}
    submission.fields |= course_field(session, course)
    if dry_run:
        with submission.named():
            found = session.client.dry_run(**submission.fields)
        dry_runs.show(session, found)
        return
    with submission.named():
        job = session.client.submit(**submission.fields, idempotency_key=key)
    if wait:
        follow_to_end(session, job, each_change=False)
    elif session.as_json:
        print_json(job.data)
    else:
        print(f"{job.id}  {job.experiment} {STATE_WORDS[job.state]}")
