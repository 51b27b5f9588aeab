"""Studies: submitting, reading, cancelling, trying again, adding seeds."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from hashlib import sha256
from typing import Any
from uuid import UUID

import orjson
from psycopg.errors import DeadlockDetected
from psycopg.types.json import Jsonb
from sqlalchemy import func, select

from api import cursors, etag
from api.auth import Principal
from api.context import Lab
from api.database import Row
from api.problems import IdempotencyKeyReused, StudyChanged, StudyNotFound
from api.services import estimates, sharing, study_plans
from api.services.allowances import check_priority, check_quota, queue_is_full
from api.services.sharing import check_may_change, may_read
from api.subscriptions import Topic
from experiments.studies.course import QUESTIONS
from experiments.studies.outcome import RunOutcome
from experiments.studies.plan import StudyPlan
from experiments.studies.summary import compare
from gpulab.schemas import (
    CellRead,
    QuestionProgressRead,
    SeedsAdd,
    ShareOrder,
    StudyCreate,
    StudyPage,
    StudyRead,
    StudySummary,
)
from gpulab.states import FINAL_STATES, JobState
from models.statements import jobs, nodes, studies
from models.statements import sharing as statements
from models.statements.estimates import ask_all

TRIES = 5
LOOK_SECONDS = 0.5
"""A held request looks at its study at most so often, and on every notice in between only once."""
SAME_IN_SUMMARY = (
    *("id", "template", "scale", "title", "name", "owner", "owner_id"),
    *("created_at", "cancelled_at", "report_job_id", "shared_with"),
)


async def submit(lab: Lab, principal: Principal, order: StudyCreate, key: str | None) -> tuple[StudyRead, bool]:
    """The study, and whether it is new.

    Raises `InvalidStudy`, what `experiments.plan`, `check_priority` and `check_quota` do, `QueueLimitReached`,
    `IdempotencyKeyReused`.
    """
    check_priority(principal, order.priority)
    definition = study_plans.define(order, await _datasets(lab))
    plan, runs = await asyncio.to_thread(study_plans.lay_out, definition)
    await _ask(lab, runs)
    if not order.fresh:
        await _reuse(lab, principal.id, runs)
    if key is None or await lab.database.row(studies.by_idempotency_key, owner_id=principal.id, key=key) is None:
        await check_quota(lab, principal)
    digest = None if key is None else _digest(order)
    study_id = await lab.database.scalar(select(func.uuidv7()))
    values = {
        "id": study_id,
        "owner_id": principal.id,
        "idempotency_key": key,
        "request_digest": digest,
        "template": plan.template,
        "scale": None if plan.scale is None else plan.scale.value,
        "title": plan.title,
        "name": order.name,
        "definition": _json(_completed(definition, plan)),
    }
    creating = studies.create(values, _json(runs), max_queued=lab.settings.max_queued, actor=principal.actor)
    _announce(lab, await lab.database.rows_in_turn([principal.id], creating))
    if await lab.database.row(studies.by_id, study_id=study_id) is not None:
        return await get(lab, principal, study_id), True
    first = key and await lab.database.row(studies.by_idempotency_key, owner_id=principal.id, key=key)
    if not first:
        raise await queue_is_full(lab, principal.id, more=_new(runs))
    if first.request_digest != digest:
        raise IdempotencyKeyReused(f"the key {key!r} belongs to study {first.id}, whose submission was another")
    return await get(lab, principal, first.id), False


async def page(lab: Lab, principal: Principal, cursor: str | None, limit: int, *, shared: bool = False) -> StudyPage:
    """One page, newest first. Students see their own studies, or those `shared` with them. Raises `InvalidCursor`."""
    filters = {"shared": shared}
    before = None if cursor is None else cursors.decode_id(cursor, "studies", filters)
    narrowed = sharing.shared_with(principal) if shared else {"owner_id": None if principal.is_staff else principal.id}
    rows = await lab.database.rows(studies.page, before=before, limit=limit + 1, **narrowed)
    more, rows = len(rows) > limit, rows[:limit]
    counted = await lab.database.rows(studies.counts, study_ids=[row.id for row in rows]) if rows else []
    of_study: defaultdict[UUID, list[Row]] = defaultdict(list)
    for row in counted:
        of_study[row.study_id].append(row)
    items = [StudySummary(**_summary(row, of_study[row.id])) for row in rows]
    return StudyPage(items=items, next_cursor=cursors.encode("studies", filters, str(items[-1].id)) if more else None)


async def visible(lab: Lab, principal: Principal, study_id: UUID) -> Row:
    """Raises `StudyNotFound`, also for a study that the principal may not see."""
    row = await lab.database.row(studies.by_id, study_id=study_id)
    if row is None or not may_read(principal, row):
        raise StudyNotFound(f"no study of yours has the id {study_id}")
    return row


async def changeable(lab: Lab, principal: Principal, study_id: UUID) -> Row:
    """Raises `StudyNotFound`, and `Forbidden` for one that was only shared with the principal."""
    row = await visible(lab, principal, study_id)
    check_may_change(principal, row)
    return row


async def get(lab: Lab, principal: Principal, study_id: UUID) -> StudyRead:
    """The study with its comparison. Raises `StudyNotFound`."""
    row = await visible(lab, principal, study_id)
    runs = await lab.database.rows(studies.runs, study_id=study_id)
    counted = await lab.database.rows(studies.counts, study_ids=[study_id])
    known = await lab.known_results.of([(run.id, outcome(run)) for run in runs])
    cells = await asyncio.to_thread(compare, known)
    return StudyRead(
        **_summary(row, counted),
        seeds=row.definition["seeds"],
        notes=row.definition["notes"],
        questions=_questions(row.definition["questions"], runs),
        comparison=[CellRead.model_validate(cell.model_dump()) for cell in cells],
    )


async def get_when_changed(
    lab: Lab, principal: Principal, study_id: UUID, wait_seconds: float, if_none_match: str | None
) -> tuple[StudyRead | None, str]:
    """The study and its tag, held as a job is; None for one that the client has already."""
    row = await visible(lab, principal, study_id)
    standing = await version(lab, study_id)
    tag = _tag(study_id, standing)
    unchanged = if_none_match is None or etag.matches(if_none_match, tag)
    if wait_seconds > 0 and unchanged and not standing.final:
        await wait_for_change(lab, principal, row, standing.version, wait_seconds)
        await visible(lab, principal, study_id)
        tag = _tag(study_id, await version(lab, study_id))
    if etag.matches(if_none_match, tag):
        return None, tag
    return await get(lab, principal, study_id), tag


async def wait_for_change(lab: Lab, principal: Principal, study: Row, seen: str, wait_seconds: float) -> None:
    """Return when the study's version is no longer `seen`, when time is up, or when the process ends."""
    deadline = time.monotonic() + min(wait_seconds, lab.settings.max_wait_seconds)
    with lab.places.taken(principal.id), lab.hub.subscribed(Topic(owner_id=study.owner_id)) as notices:
        while not lab.hub.closing and (left := deadline - time.monotonic()) > 0:
            if (await version(lab, study.id)).version != seen:
                return
            await asyncio.sleep(min(left, LOOK_SECONDS))
            await notices.take(max(0.0, min(deadline - time.monotonic(), 4 * LOOK_SECONDS)))


async def version(lab: Lab, study_id: UUID) -> Row:
    """Text that stands for the study as it is, whether all its runs are final, and how many are not."""
    row = await lab.database.row(studies.version, study_id=study_id)
    assert row is not None  # noqa: S101 - a plan has at least one run, and studies are not deleted
    return row


async def cancel(lab: Lab, principal: Principal, study_id: UUID) -> StudyRead:
    """Ask for the end of every run that is not final; asking again changes nothing. Raises as `changeable`."""
    await changeable(lab, principal, study_id)
    waiting = await lab.database.rows(studies.unfinished, study_id=study_id)
    if waiting:
        await lab.database.execute(studies.cancelled(study_id))
        await _cancel(lab, principal, [row.id for row in waiting])
    return await get(lab, principal, study_id)


async def retry(lab: Lab, principal: Principal, study_id: UUID) -> StudyRead:
    """New jobs for the runs that failed or were cancelled, and a new report.

    Raises as `changeable`, `QueueLimitReached`, `ArtifactQuotaReached`.
    """
    row = await changeable(lab, principal, study_id)
    await check_quota(lab, principal)
    retrying = studies.retry(study_id, row.owner_id, max_queued=lab.settings.max_queued, actor=principal.actor)
    made = await lab.database.rows_in_turn([row.owner_id], retrying)
    if not made and (left := await lab.database.scalar(studies.failed, study_id=study_id)):
        raise await queue_is_full(lab, row.owner_id, more=left)
    _announce(lab, made)
    return await get(lab, principal, study_id)


async def add_seeds(lab: Lab, principal: Principal, study_id: UUID, order: SeedsAdd) -> StudyRead:
    """Lay the study out again with more seeds; what it has of the new plan stays. Raises as `submit`."""
    for _ in range(TRIES):
        row = await changeable(lab, principal, study_id)
        seeds = list(dict.fromkeys([*row.definition["seeds"], *order.seeds]))
        if seeds == row.definition["seeds"]:
            break
        if await _replan(lab, principal, row, {**row.definition, "seeds": seeds}, fresh=order.fresh):
            break
    else:
        raise StudyChanged(f"study {study_id} kept changing; try again")
    return await get(lab, principal, study_id)


async def share(lab: Lab, principal: Principal, study_id: UUID, order: ShareOrder) -> StudyRead:
    """Say who else may read the study and its runs. Raises as `changeable`, and `InvalidRequest`."""
    row = await visible(lab, principal, study_id)
    sharing.check_audience(principal, row, order)
    await lab.database.execute(statements.share_study(study_id, order.audience))
    return await get(lab, principal, study_id)


async def _replan(lab: Lab, principal: Principal, row: Row, definition: dict[str, Any], *, fresh: bool) -> bool:
    """Whether the study was still the one in `row`."""
    plan, runs = await asyncio.to_thread(study_plans.lay_out, definition)
    await _ask(lab, runs)
    if not fresh:
        await _reuse(lab, row.owner_id, runs)
    for kept in await lab.database.rows(studies.members, study_id=row.id, runs=_json(runs)):
        runs[kept.position] |= {"job_id": kept.job_id, "reused": kept.reused}
    await check_quota(lab, principal)
    given = (row, _json(_completed(definition, plan)), _json(runs), len(runs))
    replanning = studies.replan(*given, max_queued=lab.settings.max_queued, actor=principal.actor)
    _announce(lab, await lab.database.rows_in_turn([row.owner_id], replanning))
    now = await lab.database.row(studies.by_id, study_id=row.id)
    if now is not None and now.revision == row.revision:
        raise await queue_is_full(lab, row.owner_id, more=_new(runs))
    if now is None or now.definition["seeds"] != definition["seeds"]:
        return False
    # Seeds that train together may now train in other company.
    await _cancel(lab, principal, [one.id for one in await lab.database.rows(studies.orphans, study_id=row.id)])
    return True


def _new(runs: Sequence[dict[str, Any]]) -> int:
    """How many jobs the study would add."""
    return sum(run.get("job_id") is None for run in runs)


async def _ask(lab: Lab, runs: list[dict[str, Any]]) -> None:
    """Put the questions about the runs' memory, each once, and note on each run which is its own."""
    asked = [await estimates.question(lab, *run.pop("trains")) for run in runs]
    for run, question in zip(runs, asked, strict=True):
        run["estimate_id"] = None if question is None else str(question.id)
    rows = {question.id: {**question.row(), "id": str(question.id)} for question in asked if question is not None}
    if rows:
        await lab.database.execute(ask_all, questions=_json(list(rows.values())))


async def _reuse(lab: Lab, owner_id: UUID, runs: list[dict[str, Any]]) -> None:
    for found in await lab.database.rows(studies.reusable, owner_id=owner_id, runs=_json(runs)):
        runs[found.position] |= {"job_id": found.job_id, "reused": True}


async def _cancel(lab: Lab, principal: Principal, job_ids: Sequence[UUID]) -> None:
    for left in reversed(range(TRIES)):
        try:
            await lab.database.rows(jobs.cancel_all, job_ids=job_ids, actor=principal.actor)
        except DeadlockDetected:
            # Many rows are locked in no particular order, and so do the workers that report of them.
            if not left:
                raise
        else:
            return


async def _datasets(lab: Lab) -> list[str]:
    rows = await lab.database.rows(nodes.overview(lab.settings.lease_seconds))
    return sorted({dataset for row in rows if not row.down for dataset in row.datasets})


def outcome(row: Row, device_names: dict[str, str] | None = None) -> RunOutcome:
    """What became of a run, without its result."""
    gpus = [device_names[uuid] for uuid in row.gpu_uuids if uuid in device_names] if device_names else []
    ended = row.finished_at and row.started_at
    return RunOutcome(
        experiment=row.experiment,
        spec=row.spec,
        seed=row.seed,
        cell=row.cell,
        questions=tuple(row.questions),
        state=row.state,
        cause=row.cause,
        message=row.message if row.state == JobState.FAILED else None,
        device=row.device,
        device_name=gpus[0] if gpus else None,
        versions=row.versions,
        job_id=str(row.id),
        duration_seconds=(row.finished_at - row.started_at).total_seconds() if ended else None,
    )


def _announce(lab: Lab, made: Sequence[Row]) -> None:
    for row in made:
        lab.announcer.announce(row)


def _completed(definition: dict[str, Any], plan: StudyPlan) -> dict[str, Any]:
    return {**definition, "questions": list(plan.questions), "notes": list(plan.notes)}


def _json(value: Any) -> Jsonb:
    return Jsonb(value, dumps=orjson.dumps)


def _digest(order: StudyCreate) -> bytes:
    return sha256(orjson.dumps(order.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)).digest()


def _tag(study_id: UUID, standing: Row) -> str:
    return f'"{study_id.hex}.{standing.version}.{standing.shared_with or ""}"'


def _summary(row: Row, counted: Sequence[Row]) -> dict[str, Any]:
    states = {JobState(count.state): count.runs for count in counted}
    runs = sum(states.values())
    return {
        **{name: getattr(row, name) for name in SAME_IN_SUMMARY},
        "state": _state(states),
        "runs": runs,
        "reused": sum(count.reused for count in counted),
        "states": states,
        "progress": min(1.0, sum(count.done for count in counted) / max(runs, 1)),
    }


def _state(states: dict[JobState, int]) -> str:
    if states.keys() - FINAL_STATES:
        return "running"
    return next((state.value for state in (JobState.FAILED, JobState.CANCELLED) if state in states), "succeeded")


def _questions(slugs: Sequence[str], runs: Sequence[Row]) -> list[QuestionProgressRead]:
    states: dict[str, Counter[JobState]] = {slug: Counter() for slug in slugs}
    for run in runs:
        for slug in run.questions:
            states[slug][JobState(run.state)] += 1
    return [
        QuestionProgressRead(
            question=slug,
            title=QUESTIONS[slug].title if slug in QUESTIONS else slug,
            runs=found.total(),
            final=sum(found[state] for state in FINAL_STATES),
            succeeded=found[JobState.SUCCEEDED],
        )
        for slug, found in states.items()
    ]
