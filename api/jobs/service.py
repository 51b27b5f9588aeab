"""Jobs: submitting, reading, waiting, cancelling, trying again."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from uuid import UUID

import orjson

from api.answers import service as answers
from api.auth.principal import Principal
from api.context import App
from api.courses.access import check_may_work, check_open, course_of_submission
from api.estimates import service as estimates
from api.estimates.service import Question
from api.experiments import service as experiments
from api.http import etag
from api.http.problems import IdempotencyKeyReused, JobAlreadyFinished, JobNotFinished, JobNotFound
from api.jobs import measured_runs, statements
from api.jobs.allowances import check_priority, check_quota, priority_of_copy, queue_is_full
from api.programs.access import check_runs
from api.sharing import service as sharing
from api.sharing import statements as sharing_statements
from api.sharing.service import check_may_change, may_read
from api.sql.database import Row
from experiments.memory.contract import ProgramRun
from experiments.studies.report_job import SLUG as REPORT
from gpulab.schemas import (
    DryRunRead,
    EstimateState,
    JobCreate,
    JobEstimateRead,
    JobRead,
    JobSummary,
    ProgressRead,
    ShareOrder,
)
from gpulab.states import FINAL_STATES, JobState
from models.composed import Statement
from models.statements import transitions
from models.statements.memory import advice
from models.tables.job import Job
from models.tables.program import RAN_BY

DRY_RUN_WAIT_SECONDS = 3.0
"""How long a dry run is held for its estimate."""
NOTHING_YET: Mapping[str, None] = dict.fromkeys(column.name for column in Job.__table__.columns)
SAME_IN_SUMMARY = tuple(column.key for column in statements.SUMMARY if not column.key.startswith("progress_"))


async def submit(app: App, principal: Principal, order: JobCreate, key: str | None) -> tuple[JobRead, bool]:
    """The job, and whether it is new.

    Raises what `experiments.plan`, `check_runs`, `check_priority` and `check_quota` do, `QueueLimitReached`,
    `IdempotencyKeyReused`.
    """
    course_id = await course_of_submission(app, principal, order.course_id, order.experiment)
    check_priority(principal, order.priority, course_id)
    plan = experiments.plan(order)
    await check_runs(app, principal, [(order.experiment, plan.spec)])
    if app.settings.max_artifact_bytes is not None and not await _was_used(app, principal, key):
        await check_quota(app, principal)
    digest = None if key is None else _digest(order)
    measured = await measured_runs.reservation(app, order, plan)
    values = {
        "owner_id": principal.id,
        "course_id": course_id,
        "idempotency_key": key,
        "request_digest": digest,
        "experiment": order.experiment,
        "spec": plan.spec,
        "seed": order.seed,
        "name": order.name,
        "tags": order.tags,
        "priority": order.priority.value,
        "time_limit_seconds": plan.time_limit_seconds,
        "gpus": plan.gpus,
        "gpu_memory_bytes": order.gpu_memory_bytes if measured is None else measured.reserve_bytes,
        "exclusive": plan.exclusive,
        "datasets": plan.datasets,
    }
    question = None
    if measured is None:
        question = await estimates.question_of_job(app, plan.workload, plan.fields, on_gpu=plan.gpus != 0)
    row = await insert(app, principal, values, "submitted", question)
    if row is not None:
        asked = None if question is None else question.id
        return await _stored(app, principal, values | {"estimate_id": asked}, row), True
    return await _first_under(app, principal, key, digest), False


async def dry_run(app: App, principal: Principal, order: JobCreate) -> DryRunRead:
    """What `submit` would store, and its estimate. Raises as `submit`."""
    course_id = await course_of_submission(app, principal, order.course_id, order.experiment)
    check_priority(principal, order.priority, course_id)
    plan = experiments.plan(order)
    await check_runs(app, principal, [(order.experiment, plan.spec)])
    if (measured := await measured_runs.reservation(app, order, plan)) is not None:
        estimate = estimates.not_predicted(str(measured))
    elif isinstance(plan.workload, ProgramRun) and plan.gpus == 0:
        estimate = estimates.not_predicted("the run takes no GPU")
    else:
        wait = DRY_RUN_WAIT_SECONDS
        estimate = await estimates.predicted(app, principal, plan.workload, plan.fields, wait_seconds=wait)
    return DryRunRead(
        experiment=order.experiment,
        spec=plan.spec,
        time_limit_seconds=plan.time_limit_seconds,
        gpus=plan.gpus,
        exclusive=plan.exclusive,
        datasets=plan.datasets,
        estimate=estimate.model_copy(update={"experiment": order.experiment}),
    )


async def visible(app: App, principal: Principal, job_id: UUID) -> Row:
    """The job's standing. Raises `JobNotFound`, also for a job that the principal may not see."""
    return await _visible(app, principal, job_id, statements.standing)


async def _whole(app: App, principal: Principal, job_id: UUID) -> Row:
    """Every column of the job. Raises as `visible`."""
    return await _visible(app, principal, job_id, statements.by_id)


async def _visible(app: App, principal: Principal, job_id: UUID, standing: Statement[...]) -> Row:
    row = await app.database.row(standing, job_id=job_id)
    if row is not None and may_read(principal, row):
        return row
    # Asked also where there is no such job: the time of the answer does not say whether there is.
    shared = await sharing.in_shared_study(app, principal, job_id)
    if row is None or not shared:
        raise JobNotFound(f"no job of yours has the id {job_id}")
    return row


async def get(app: App, principal: Principal, job_id: UUID) -> JobRead:
    return (await _shown(app, principal, await _whole(app, principal, job_id)))[0]


async def _shown(app: App, principal: Principal, row: Row) -> tuple[JobRead, str]:
    """The job as the principal may see it now, and its tag."""
    job = _read(row._asdict())
    if await answers.held_of_job(app, principal, row.id, row.experiment) is None:
        return job, _tag(row)
    return answers.stripped(job), _tag(row, "held")


async def get_when_changed(
    app: App, principal: Principal, job_id: UUID, wait_seconds: float, if_none_match: str | None
) -> tuple[JobRead, str]:
    """The job and its tag: at once when the client's tag is another one, else held until it changes or time is up.

    Without a tag, it is held from what the job is now. A final job does not change and is never held.
    """
    row = await _whole(app, principal, job_id)
    shown, tag = await _shown(app, principal, row)
    unchanged = if_none_match is None or etag.matches(if_none_match, tag)
    if wait_seconds > 0 and unchanged and JobState(row.state) not in FINAL_STATES:
        timeout_seconds = min(wait_seconds, app.settings.max_wait_seconds)
        with app.open_answers.taken(principal.id):
            await app.hub.wait_for_change(job_id, row.version, timeout_seconds)
        return await _shown(app, principal, await _whole(app, principal, job_id))
    return shown, tag


def _tag(row: Row, *more: str) -> str:
    # An estimate is answered without a change of the job's own row.
    return etag.of_job(row.id, row.version, *(() if row.estimate_state is None else (row.estimate_state,)), *more)


async def cancel(app: App, principal: Principal, job_id: UUID) -> JobRead:
    """Ask for the job's end; asking again changes nothing. Raises `JobNotFound`, `Forbidden`, `JobAlreadyFinished`."""
    check_may_change(principal, await visible(app, principal, job_id))
    changed = await app.database.row(transitions.cancel, job_id=job_id, actor=principal.actor)
    job = await get(app, principal, job_id)
    if changed is None and job.state in {JobState.SUCCEEDED, JobState.FAILED}:
        raise JobAlreadyFinished(f"the job is {job.state}; there is nothing to cancel")
    return job


async def retry(app: App, principal: Principal, job_id: UUID) -> JobRead:
    """A new job with the same order, linked to the first. Raises `JobNotFound`, `JobNotFinished`, and over limits."""
    row = await _whole(app, principal, job_id)
    if JobState(row.state) not in FINAL_STATES:
        raise JobNotFinished(f"the job is {row.state}; only a final job can be retried")
    await check_may_work(app, principal, row.course_id)
    await check_quota(app, principal)
    order = row._asdict()
    values = {name: order[name] for name in statements.REPEATED}
    values |= {"owner_id": principal.id, "course_id": row.course_id, "retry_of": job_id}
    values["priority"] = priority_of_copy(principal, row.priority, row.course_id)
    made = await insert(app, principal, values, f"retry of {job_id}")
    if made is None:
        raise await queue_is_full(app, principal.id)
    return await _stored(app, principal, values, made)


async def share(app: App, principal: Principal, job_id: UUID, order: ShareOrder) -> JobRead:
    """Say who else may read the job. Raises `JobNotFound`, `Forbidden`, `InvalidRequest`, `CourseArchived`."""
    row = await visible(app, principal, job_id)
    sharing.check_audience(principal, row, order)
    if order.audience is not None:
        await check_open(app, row.course_id)
    await app.database.execute(sharing_statements.share_job, job_id=job_id, audience=order.audience)
    return await get(app, principal, job_id)


async def insert(
    app: App, principal: Principal, values: Mapping[str, Any], message: str, question: Question | None = None
) -> Row | None:
    """Store an order and send its notice. None where its owner used the idempotency key before, or has a full queue.

    `question` is about its memory; it is put along with the order.
    """
    asked = {} if question is None else {"estimate_id": question.id}
    order = {**values, **asked, "actor": principal.actor, "message": message}
    limited = not principal.is_admin or values["owner_id"] != principal.id
    row = await app.submission_batches.store(
        order, None if question is None else question.row(order["owner_id"]), limited=limited
    )
    if row is not None:
        app.announcer.announce(row)
    return row


async def _was_used(app: App, principal: Principal, key: str | None) -> bool:
    if key is None:
        return False
    return await app.database.row(statements.by_idempotency_key, owner_id=principal.id, key=key) is not None


async def _first_under(app: App, principal: Principal, key: str | None, digest: bytes | None) -> JobRead:
    """The job that used the key. Raises `QueueLimitReached` where there is none: then the queue was full."""
    row = key and await app.database.row(statements.by_idempotency_key, owner_id=principal.id, key=key)
    if not row:
        raise await queue_is_full(app, principal.id)
    if row.request_digest != digest:
        raise IdempotencyKeyReused(f"the key {key!r} belongs to job {row.id}, which had a different submission")
    return (await _shown(app, principal, row))[0]


def _digest(order: JobCreate) -> bytes:
    return sha256(orjson.dumps(order.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)).digest()


async def _stored(app: App, principal: Principal, values: Mapping[str, Any], row: Row) -> JobRead:
    """A job just submitted. It is read back where the row has more, or the spec has answers in it."""
    if values["experiment"] in RAN_BY or values["experiment"] == REPORT:
        return await get(app, principal, row.id)
    return _fresh(values, row, principal)


def _fresh(values: Mapping[str, Any], row: Row, principal: Principal) -> JobRead:
    """A job just submitted, without reading it back."""
    return _read(
        {
            **NOTHING_YET,
            "gpu_uuids": [],
            **values,
            "id": row.id,
            "owner": principal.name,
            "state": row.state,
            "attempt": row.attempt,
            "version": row.version,
            "submitted_at": row.submitted_at,
            "changed_at": row.submitted_at,
            **{name: getattr(row, name, None) for name in statements.ESTIMATE_NAMES},
        }
    )


def whole(row: Row) -> JobRead:
    """A row with all columns, with its answers."""
    return _read(row._asdict())


def _read(row: Mapping[str, Any]) -> JobRead:
    return JobRead(
        **_summary(row),
        spec=experiments.in_order(row["experiment"], row["spec"], part="spec"),
        result=row["result"] and experiments.in_order(row["experiment"], row["result"], part="result"),
        failure=_failure(row),
        device=row["device"],
        gpu_names=row.get("gpu_names") or [],
        gpus=row["gpus"],
        exclusive=row["exclusive"],
        datasets=row["datasets"],
        time_limit_seconds=row["time_limit_seconds"],
        cancel_requested_at=row["cancel_requested_at"],
        retry_of=row["retry_of"],
        shared_with=row["shared_with"],
        owner_id=row["owner_id"],
        note=row["note"],
        removed=row["removed"] or {},
        course_id=row["course_id"],
        program=row.get("program"),
        versions=row["versions"],
        estimate=_estimate(row),
    )


def _failure(row: Mapping[str, Any]) -> dict[str, Any] | None:
    failure: dict[str, Any] | None = row["failure"]
    if failure is None or advice.KEY not in failure or row["estimate_state"] != EstimateState.FAILED:
        return failure
    never = dict.fromkeys(("edits", "predicted_peak_bytes"), "the prediction failed; see the job's estimate")
    return failure | {"reasons": failure["reasons"] | never}


def _estimate(row: Mapping[str, Any]) -> JobEstimateRead | None:
    if row["estimate_id"] is None:
        return None
    state = EstimateState(row["estimate_state"] or EstimateState.PENDING)
    if state is EstimateState.PENDING and row["estimate_peak"] is not None:
        # It was asked about further GPUs, or for advice on a failure.
        state = EstimateState.READY
    return JobEstimateRead(
        id=row["estimate_id"],
        url=f"/v1/estimates/{row['estimate_id']}",
        state=state,
        peak_device_bytes=row["estimate_peak"],
    )


def summary_of(row: Row) -> JobSummary:
    """A row with the columns of `statements.SUMMARY`, as a list shows it."""
    return JobSummary(**_summary(row._asdict()))


def _summary(row: Mapping[str, Any]) -> dict[str, Any]:
    fraction = row["progress_fraction"]
    progress = None if fraction is None else ProgressRead(fraction=fraction, message=row["progress_message"] or "")
    return {**{name: row[name] for name in SAME_IN_SUMMARY}, "progress": progress}
