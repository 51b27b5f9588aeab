"""A study's report: rendered once for each version of the study, by a job like any other."""

import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from api.answers import service as answers
from api.auth.principal import Principal
from api.context import App
from api.experiments import service as experiments
from api.http.problems import ArtifactNotFound, ReportFailed
from api.jobs import service as jobs
from api.jobs.allowances import check_quota, queue_is_full
from api.sql.database import Row
from api.studies import reading, statements
from experiments.studies.outcome import RunOutcome
from experiments.studies.plan import Scale, StudyPlan
from experiments.studies.report_job import SLUG, report_spec
from gpulab.schemas import JobCreate, StudyReportRead
from gpulab.states import FINAL_STATES, JobState, Priority
from models.statements import nodes, series
from models.tables.study import REPORT_KEY

RESULTS_BATCH_SIZE = 50


@dataclass(frozen=True, slots=True)
class Report:
    """A file of the report, and the SHA-256 that is its tag."""

    body: bytes
    sha256: str


async def report(
    app: App, principal: Principal, study_id: UUID, name: str, wait_seconds: float
) -> Report | StudyReportRead:
    """The file `name` of the newest report, or why it is not there yet.

    Raises `StudyNotFound`, `AnswersHeldBack`, `ReportFailed`, `QueueLimitReached`, `ArtifactQuotaReached`.
    """
    row = await reading.visible(app, principal, study_id)
    experiment = row.definition["experiment"]
    about = answers.about_report(row.definition["questions"], [] if experiment is None else [experiment])
    held = await answers.held_by(app, principal, **about)
    if held is not None:
        answers.refuse(app, "the report", held)
    deadline = time.monotonic() + min(wait_seconds, app.settings.max_wait_seconds)
    standing = await reading.version(app, study_id)
    while not standing.final and not app.hub.closing and (left := deadline - time.monotonic()) > 0:
        await reading.wait_for_change(app, principal, row, standing.version, left)
        row = await reading.visible(app, principal, study_id)
        standing = await reading.version(app, study_id)
    if not standing.final:
        return StudyReportRead(
            study_id=study_id, state="waiting", unfinished=standing.unfinished, report_job_id=row.report_job_id
        )
    job = await _job(app, principal, row, standing.version)
    while job.state not in FINAL_STATES and not app.hub.closing and (left := deadline - time.monotonic()) > 0:
        with app.open_answers.taken(principal.id):
            await app.hub.wait_for_change(job.id, job.version, left)
        row = await reading.visible(app, principal, study_id)
        job = await _job(app, principal, row, standing.version)
    if job.state not in FINAL_STATES:
        return StudyReportRead(study_id=study_id, state="rendering", unfinished=0, report_job_id=job.id)
    if job.state != JobState.SUCCEEDED:
        why = ": ".join(part for part in (job.cause, job.message) if part) or job.state
        raise ReportFailed(f"job {job.id} did not render it ({why}); retry the study to render it again")
    return await _file(app, job.id, name)


async def _job(app: App, principal: Principal, row: Row, version: str) -> Row:
    """The job that renders this version; made when there is none yet."""
    key = f"{REPORT_KEY}{row.id} {version}"
    job = await app.database.row(statements.report_job, owner_id=row.owner_id, key=key)
    if job is None:
        await _submit(app, principal, row, key)
        job = await app.database.row(statements.report_job, owner_id=row.owner_id, key=key)
        if job is None:
            raise await queue_is_full(app, row.owner_id)
    if row.report_job_id != job.id:
        await app.database.execute(statements.reported, study_id=row.id, job_id=job.id)
    return job


async def _submit(app: App, principal: Principal, row: Row, key: str) -> None:
    spec = await _spec(app, row)
    order = JobCreate(
        experiment=SLUG,
        spec={"title": spec["title"]},
        name=f"Report of {row.title}"[:200],
        # A student's studies are many: their reports in the class `high` would go before everybody's jobs.
        priority=Priority.HIGH if principal.teaches(row.course_id) else Priority.NORMAL,
    )
    plan = experiments.plan(order, by_lab=True)
    values = {
        "owner_id": row.owner_id,
        "course_id": row.course_id,
        "idempotency_key": key,
        "request_digest": None,
        "experiment": SLUG,
        "spec": spec,
        "seed": 0,
        "name": order.name,
        "tags": ["report"],
        "priority": order.priority.value,
        "time_limit_seconds": plan.time_limit_seconds,
        "gpus": plan.gpus,
        "gpu_memory_bytes": None,
        "exclusive": plan.exclusive,
        "datasets": plan.datasets,
    }
    await check_quota(app, principal)
    await jobs.insert(app, principal, values, f"report of study {row.id}")


async def _spec(app: App, row: Row) -> dict[str, Any]:
    plan = StudyPlan(
        template=row.template,
        scale=None if row.scale is None else Scale(row.scale),
        title=row.name or row.title,
        questions=tuple(row.definition["questions"]),
        runs=(),
        notes=tuple(row.definition["notes"]),
    )
    outcomes = await _outcomes(app, row.id)
    facts = {"study": str(row.id), "owner": row.owner}
    try:
        return await app.heavy.run(report_spec, plan, outcomes, facts)
    except ValueError as error:
        raise ReportFailed(str(error)) from None


async def _outcomes(app: App, study_id: UUID) -> list[RunOutcome]:
    names = {gpu.uuid: gpu.name for gpu in await app.database.rows(nodes.gpu_names)}
    runs = await app.database.rows(statements.runs, study_id=study_id)
    results: dict[UUID, Any] = {}
    for start in range(0, len(runs), RESULTS_BATCH_SIZE):
        wanted = [run.id for run in runs[start : start + RESULTS_BATCH_SIZE]]
        results |= {found.id: found.result for found in await app.database.rows(statements.results, job_ids=wanted)}
    return [reading.outcome(run, names).model_copy(update={"result": results[run.id]}) for run in runs]


async def _file(app: App, job_id: UUID, name: str) -> Report:
    row = await app.database.row(series.artifact, job_id=job_id, name=name)
    try:
        found = None if row is None else await app.store.get_async(row.key)
    except FileNotFoundError:
        found = None
    if row is None or found is None:
        raise ArtifactNotFound(f"job {job_id} has no {name!r}, or it is no longer stored")
    return Report(bytes(await found.bytes_async()), row.sha256)
