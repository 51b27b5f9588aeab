"""Studies: submitting, reading, cancelling, trying again, adding seeds."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from psycopg.types.json import Jsonb

from api.auth.principal import Principal
from api.context import App
from api.courses.access import check_may_work, check_open, course_of_submission
from api.estimates import service as estimates
from api.estimates.service import Question
from api.http.problems import IdempotencyKeyReused, StudyChanged
from api.jobs import measured_runs
from api.jobs.allowances import check_priority, check_quota, queue_is_full
from api.jobs.cancelling import cancel_all
from api.programs.access import check_runs
from api.sharing import service as sharing
from api.sharing import statements as sharing_statements
from api.sharing.service import check_may_change
from api.sql.database import Row
from api.studies import plans, statements
from api.studies.reading import read, shown, visible
from experiments.studies.plan import StudyPlan
from gpulab.schemas import (
    SeedsAdd,
    ShareOrder,
    StudyCreate,
)
from models.statements import nodes
from models.statements.memory.estimate_turns import take_over
from models.statements.memory.estimates import ask_all

TRIES = 5


class Changed(NamedTuple):
    """A study as it is after a change: its id, and the JSON of a `StudyRead`."""

    id: UUID
    content: bytes


async def submit(app: App, principal: Principal, order: StudyCreate, key: str | None) -> tuple[Changed, bool]:
    """The study, and whether it is new.

    Raises `InvalidStudy`, what `experiments.plan`, `check_runs`, `check_priority` and `check_quota` do,
    `QueueLimitReached`, `IdempotencyKeyReused`.
    """
    course_id = await course_of_submission(app, principal, order.course_id)
    check_priority(principal, order.priority, course_id)
    definition = plans.define(order, await _datasets(app))
    plan, runs = await app.heavy.run(plans.lay_out, definition)
    await check_runs(app, principal, [(run["experiment"], run["spec"]) for run in runs])
    await _ask(app, principal.id, runs)
    if not order.fresh:
        await _reuse(app, principal.id, course_id, runs)
    if key is None or await app.database.row(statements.by_idempotency_key, owner_id=principal.id, key=key) is None:
        await check_quota(app, principal)
    digest = None if key is None else _digest(order)
    study_id = await app.database.scalar(statements.new_id)
    values = {
        "id": study_id,
        "owner_id": principal.id,
        "course_id": course_id,
        "idempotency_key": key,
        "request_digest": digest,
        "template": plan.template,
        "scale": None if plan.scale is None else plan.scale.value,
        "title": plan.title,
        "name": order.name,
        "definition": _json(_completed(definition, plan)),
    }
    made = await app.database.rows_in_turn(
        [principal.id],
        statements.create,
        values=values,
        runs=_json(runs),
        max_queued=app.settings.max_queued,
        actor=principal.actor,
    )
    _announce(app, made)
    if await app.database.row(statements.by_id, study_id=study_id) is not None:
        return await _changed(app, principal, study_id), True
    first = key and await app.database.row(statements.by_idempotency_key, owner_id=principal.id, key=key)
    if not first:
        raise await queue_is_full(app, principal.id, more=_new(runs))
    if first.request_digest != digest:
        raise IdempotencyKeyReused(f"the key {key!r} belongs to study {first.id}, which had a different submission")
    return await _changed(app, principal, first.id), False


async def changeable(app: App, principal: Principal, study_id: UUID) -> Row:
    """Raises `StudyNotFound`, and `Forbidden` for one that was only shared with the principal."""
    row = await visible(app, principal, study_id)
    check_may_change(principal, row)
    return row


async def cancel(app: App, principal: Principal, study_id: UUID) -> Changed:
    """Ask for the end of every run that is not final; asking again changes nothing. Raises as `changeable`."""
    await changeable(app, principal, study_id)
    waiting = await app.database.rows(statements.unfinished, study_id=study_id)
    if waiting:
        await app.database.execute(statements.cancelled, study_id=study_id)
        await cancel_all(app, principal, [row.id for row in waiting])
    return await _changed(app, principal, study_id)


async def retry(app: App, principal: Principal, study_id: UUID) -> Changed:
    """New jobs for the runs that failed or were cancelled, and a new report.

    Raises as `changeable`, `QueueLimitReached`, `ArtifactQuotaReached`.
    """
    row = await changeable(app, principal, study_id)
    await check_may_work(app, principal, row.course_id)
    await check_quota(app, principal)
    made = await app.database.rows_in_turn(
        [row.owner_id],
        statements.retry,
        study_id=study_id,
        owner_id=row.owner_id,
        max_queued=app.settings.max_queued,
        actor=principal.actor,
    )
    if not made and (left := await app.database.scalar(statements.failed, study_id=study_id)):
        raise await queue_is_full(app, row.owner_id, more=left)
    _announce(app, made)
    return await _changed(app, principal, study_id)


async def add_seeds(app: App, principal: Principal, study_id: UUID, order: SeedsAdd) -> Changed:
    """Lay the study out again with more seeds; what it has of the new plan stays. Raises as `submit`."""
    for _ in range(TRIES):
        row = await changeable(app, principal, study_id)
        await check_may_work(app, principal, row.course_id)
        seeds = list(dict.fromkeys([*row.definition["seeds"], *order.seeds]))
        if seeds == row.definition["seeds"]:
            break
        if await _replan(app, principal, row, {**row.definition, "seeds": seeds}, fresh=order.fresh):
            break
    else:
        raise StudyChanged(f"study {study_id} kept changing; try again")
    return await _changed(app, principal, study_id)


async def share(app: App, principal: Principal, study_id: UUID, order: ShareOrder) -> Changed:
    """Say who else may read the study and its runs. Raises as `changeable`, and `InvalidRequest`."""
    row = await visible(app, principal, study_id)
    sharing.check_audience(principal, row, order)
    if order.audience is not None:
        await check_open(app, row.course_id)
    await app.database.execute(sharing_statements.share_study, study_id=study_id, audience=order.audience)
    return await _changed(app, principal, study_id)


async def _changed(app: App, principal: Principal, study_id: UUID) -> Changed:
    body = await read(app, await visible(app, principal, study_id))
    return Changed(study_id, await shown(app, principal, body.content))


async def _replan(app: App, principal: Principal, row: Row, definition: dict[str, Any], *, fresh: bool) -> bool:
    """Whether the study was still the one in `row`."""
    plan, runs = await app.heavy.run(plans.lay_out, definition)
    await _ask(app, row.owner_id, runs)
    if not fresh:
        await _reuse(app, row.owner_id, row.course_id, runs)
    for kept in await app.database.rows(statements.members, study_id=row.id, runs=_json(runs)):
        runs[kept.position] |= {"job_id": kept.job_id, "reused": kept.reused}
    await check_quota(app, principal)
    made = await app.database.rows_in_turn(
        [row.owner_id],
        statements.replan,
        study=row,
        definition=_json(_completed(definition, plan)),
        runs=_json(runs),
        count=len(runs),
        max_queued=app.settings.max_queued,
        actor=principal.actor,
    )
    _announce(app, made)
    now = await app.database.row(statements.by_id, study_id=row.id)
    if now is not None and now.revision == row.revision:
        raise await queue_is_full(app, row.owner_id, more=_new(runs))
    if now is None or now.definition["seeds"] != definition["seeds"]:
        return False
    # Seeds that train together may now train in other company.
    orphans = await app.database.rows(statements.orphans, study_id=row.id)
    await cancel_all(app, principal, [one.id for one in orphans])
    return True


def _new(runs: Sequence[dict[str, Any]]) -> int:
    """How many jobs the study would add."""
    return sum(run.get("job_id") is None for run in runs)


async def _ask(app: App, owner_id: UUID, runs: list[dict[str, Any]]) -> None:
    """Settle what is known of the runs' memory: what earlier runs of a program took, and a question about the others.

    Each question is put once, and each run notes its own.
    """
    await measured_runs.reserve(app, runs)
    asked = [await _question(app, run) for run in runs]
    for run, question in zip(runs, asked, strict=True):
        run["estimate_id"] = None if question is None else str(question.id)
    rows = {question.id: question.row(owner_id) for question in asked if question is not None}
    if rows:
        questions = _json(list(rows.values()))
        await app.database.execute(ask_all, questions=questions)
        await app.database.execute(take_over, questions=questions)


async def _question(app: App, run: dict[str, Any]) -> Question | None:
    """What earlier runs of a program took wins over what the program says of itself."""
    workload, fields = run.pop("trains")
    if run["gpu_memory_bytes"] is not None:
        return None
    return await estimates.question_of_job(app, workload, fields, on_gpu=run["gpus"] != 0)


async def _reuse(app: App, owner_id: UUID, course_id: UUID | None, runs: list[dict[str, Any]]) -> None:
    known = await app.database.rows(statements.reusable, owner_id=owner_id, course_id=course_id, runs=_json(runs))
    for found in known:
        runs[found.position] |= {"job_id": found.job_id, "reused": True}


async def _datasets(app: App) -> list[str]:
    rows = await app.database.rows(nodes.overview, silence_seconds=app.settings.lease_seconds)
    return sorted({dataset for row in rows if not row.down for dataset in row.datasets})


def _announce(app: App, made: Sequence[Row]) -> None:
    for row in made:
        app.announcer.announce(row)


def _completed(definition: dict[str, Any], plan: StudyPlan) -> dict[str, Any]:
    return {**definition, "questions": list(plan.questions), "notes": list(plan.notes)}


def _json(value: Any) -> Jsonb:
    return Jsonb(value, dumps=orjson.dumps)


def _digest(order: StudyCreate) -> bytes:
    return sha256(orjson.dumps(order.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)).digest()
