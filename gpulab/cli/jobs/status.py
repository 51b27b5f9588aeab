"""`gpulab status` and `gpulab queue`."""

from datetime import datetime, timedelta
from itertools import chain, repeat
from typing import TYPE_CHECKING, Annotated

import typer

from gpulab.cli.session import Session, print_json, session_command
from gpulab.cli.users.naming import OnlyCourse, find_course
from gpulab.states import CAUSE_WORDS, STATE_WORDS, JobState

if TYPE_CHECKING:
    from gpulab.client import Job
    from gpulab.schemas import JobSummary

app = typer.Typer()


@session_command(app)
def status(
    session: Session,
    job: Annotated[
        str | None, typer.Argument(metavar="[JOB]", help="Show all details of this run. Default: list your runs.")
    ] = None,
    state: Annotated[list[str] | None, typer.Option(help="Only this state, as the list shows it; repeatable.")] = None,
    experiment: Annotated[str | None, typer.Option(help="Only this experiment.")] = None,
    owner: Annotated[str | None, typer.Option(help="Only runs of this user: name, email address or id.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only runs with this tag.")] = None,
    text: Annotated[
        str | None, typer.Option(help="Only runs whose name, experiment or note contains this text.")
    ] = None,
    course: OnlyCourse = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number, newest first.")] = 20,
) -> None:
    """List runs, or show one."""
    if job is not None:
        _show_one(session, session.job(job))
        return
    wanted = [{STATE_WORDS[known]: known.value for known in STATE_WORDS}.get(word, word) for word in state or []]
    of = None if course is None else str(find_course(session, course))
    found = session.client.jobs(
        state=wanted or None, experiment=experiment, owner=owner, tag=tag, text=text, course=of, limit=limit
    )
    summaries = [listed.data for listed in found]
    if session.as_json:
        print_json(summaries)
    elif summaries:
        _print_list(summaries)
    else:
        print("No runs found.")


@session_command(app)
def queue(
    session: Session,
    job: Annotated[
        str | None,
        typer.Argument(metavar="[JOB]", help="Id or name of a run; @last is your newest. Default: the whole lab."),
    ] = None,
) -> None:
    """Show why a run waits, its place in the queue, and what would help; or how busy the lab is."""
    from gpulab.cli.tables import print_facts
    from gpulab.words import sentence

    if job is None:
        _show_lab(session)
        return
    found = session.job(job).queue()
    if session.as_json:
        print_json(found)
        return
    print(sentence(found.explanation))
    if found.state is not JobState.QUEUED:
        return
    print_facts(
        [
            ("state", STATE_WORDS[found.state]),
            ("reason", found.reason),
            ("place", found.position),
            ("expected start", _expected(found.estimated_start_at)),
            *(("would help", hint) for hint in found.would_help),
        ]
    )


def _show_lab(session: Session) -> None:
    from gpulab.cli.tables import print_facts
    from gpulab.words import counted

    found = session.client.queue()
    if session.as_json:
        print_json(found)
        return
    of_users = f" of {counted(found.users_waiting, 'user')}" if found.waiting else ""
    first = found.next
    print_facts(
        [
            ("running", f"{counted(found.running, 'run')}, {found.your_running} of them yours"),
            ("waiting", f"{counted(found.waiting, 'run')}{of_users}, {found.your_waiting} of them yours"),
            ("started in the past hour", counted(found.started_last_hour, "run")),
            ("your next run", first and f"{first.name or first.experiment}  {first.job_id}"),
            ("its place", first and first.position),
            ("expected start", _expected(first.estimated_start_at) if first else ""),
        ]
    )


def _expected(at: datetime | None) -> str:
    from gpulab.cli.tables import moment, until

    return "" if at is None else f"{moment(at)} ({until(at)})"


def _print_list(jobs: "list[JobSummary]") -> None:
    from gpulab.cli.tables import ago, print_table, styled

    print_table(
        ["JOB", "EXPERIMENT", "NAME", "STATE", "DONE", "OWNER", "AGE", "MESSAGE"],
        (
            [
                str(job.id),
                job.experiment,
                job.name,
                styled(job.state),
                f"{job.progress.fraction:.0%}" if job.progress else "",
                job.owner,
                ago(job.submitted_at),
                job.message,
            ]
            for job in jobs
        ),
    )


def _show_one(session: Session, job: "Job") -> None:
    from gpulab.cli.jobs.out_of_memory import print_failure
    from gpulab.cli.jobs.usage import usage_facts
    from gpulab.cli.programs import program_words
    from gpulab.cli.tables import byte_size, duration, moment, print_facts, value_text

    data = job._loaded()
    if session.as_json:
        print_json(data)
        return
    reserved = None if data.gpu_memory_bytes is None else byte_size(data.gpu_memory_bytes)
    print_facts(
        [
            ("job", data.id),
            ("name", data.name),
            ("experiment", data.experiment),
            ("program", data.program and program_words(data.program)),
            ("state", STATE_WORDS[data.state] + (f": {CAUSE_WORDS[data.cause]}" if data.cause else "")),
            ("message", data.message),
            ("progress", f"{data.progress.fraction:.0%} {data.progress.message}" if data.progress else None),
            ("owner", data.owner),
            ("tags", ", ".join(data.tags)),
            *zip(chain(["note"], repeat("")), (data.note or "").splitlines(), strict=False),
            ("seed", data.seed),
            ("attempt", data.attempt),
            ("node", data.node),
            ("device", data.device),
            ("gpu", ", ".join(data.gpu_names)),
            ("gpu memory", reserved),
            ("time limit", duration(timedelta(seconds=data.time_limit_seconds))),
            ("submitted", data.submitted_at),
            ("started", data.started_at),
            ("finished", data.finished_at),
            ("retry of", data.retry_of),
            *usage_facts(job),
            *((f"spec.{field}", value_text(value)) for field, value in data.spec.items()),
            *((f"result.{field}", value_text(value)) for field, value in (data.result or {}).items()),
            *((what, f"removed on {moment(at)} by the lab's retention") for what, at in data.removed.items()),
        ]
    )
    if data.failure is not None:
        print_failure(data.failure)
