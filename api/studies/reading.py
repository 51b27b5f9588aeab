"""Studies as they are read: in lists, one by one, and held until they change."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID

from api.answers import service as answers
from api.auth.principal import Principal
from api.context import App
from api.http import etag
from api.http.cursors import paged
from api.http.problems import StudyNotFound
from api.limits.shared_work import Body
from api.live.subscriptions import Topic
from api.sharing import service as sharing
from api.sharing.service import may_read
from api.sql.database import Row
from api.studies import statements
from api.users import statements as users
from experiments.studies.outcome import RunOutcome
from experiments.studies.question_sets import question
from experiments.studies.summary import compare
from gpulab.schemas import CellRead, QuestionProgressRead, StudyPage, StudyRead, StudySummary
from gpulab.states import FINAL_STATES, JobState

LOOK_SECONDS = 0.5
"""Shortest interval between two looks of a held request at its study."""
SAME_IN_SUMMARY = (
    *("id", "template", "scale", "title", "name", "owner", "owner_id"),
    *("created_at", "cancelled_at", "report_job_id", "shared_with"),
)


@dataclass(frozen=True, slots=True)
class StudyFilters:
    shared: bool = False
    owner: str | None = None
    text: str | None = None
    course: UUID | None = None


async def page(app: App, principal: Principal, cursor: str | None, limit: int, filters: StudyFilters) -> StudyPage:
    """One page, newest first. Students see their own studies, staff those of their courses, or both what is shared.

    Raises `InvalidCursor`.
    """
    narrowed = sharing.shared_with(principal) if filters.shared else sharing.seen_by(principal)
    if filters.owner is not None:
        narrowed["owners"] = [row.id for row in await app.database.rows(users.called, text=filters.owner)]
    narrowed |= {"text": filters.text, "course": filters.course}

    def fetch(before: UUID | None, most: int) -> Awaitable[Sequence[Row]]:
        return app.database.rows(statements.page, before=before, limit=most, **narrowed)

    rows, next_cursor = await paged("studies", asdict(filters), cursor, limit, fetch)
    counted = await app.database.rows(statements.counts, study_ids=[row.id for row in rows]) if rows else []
    of_study: defaultdict[UUID, list[Row]] = defaultdict(list)
    for row in counted:
        of_study[row.study_id].append(row)
    items = [StudySummary(**_summary(row, of_study[row.id])) for row in rows]
    return StudyPage(items=items, next_cursor=next_cursor)


async def visible(app: App, principal: Principal, study_id: UUID) -> Row:
    """Raises `StudyNotFound`, also for a study that the principal may not see."""
    row = await app.database.row(statements.by_id, study_id=study_id)
    if row is None or not may_read(principal, row):
        raise StudyNotFound(f"no study of yours has the id {study_id}")
    return row


async def read(app: App, row: Row) -> Body:
    """The JSON of a `StudyRead` and its tag. `row` is the study's, as `visible` gives it.

    A study may have thousands of runs: each version is read and compared once for all who ask for it.
    """
    standing = await version(app, row.id)
    kept = app.studies.get(row.id, _tag(row.id, standing))
    if kept is not None:
        return kept
    return await app.shared_work.after_now(("study", row.id), lambda: _read(app, row.id))


async def _read(app: App, study_id: UUID) -> Body:
    # Before everything else: what changes while it is read has another version, which is read anew.
    tag = _tag(study_id, await version(app, study_id))
    if (kept := app.studies.get(study_id, tag)) is not None:
        return kept
    row = await app.database.row(statements.by_id, study_id=study_id)
    runs = await app.database.rows(statements.runs, study_id=study_id)
    counted = await app.database.rows(statements.counts, study_ids=[study_id])
    known = await app.known_results.of(await app.heavy.run(_outcomes, runs))
    body = Body(tag, await app.heavy.run(_content, row, runs, counted, known))
    app.studies.keep(study_id, body)
    return body


def _outcomes(runs: Sequence[Row]) -> list[tuple[UUID, RunOutcome]]:
    return [(run.id, outcome(run)) for run in runs]


def _content(row: Row, runs: Sequence[Row], counted: Sequence[Row], known: Sequence[RunOutcome]) -> bytes:
    found = StudyRead(
        **_summary(row, counted),
        seeds=row.definition["seeds"],
        notes=row.definition["notes"],
        questions=_questions(row.definition["questions"], runs),
        comparison=[CellRead.model_validate(cell.model_dump()) for cell in compare(known)],
    )
    return found.model_dump_json().encode()


async def get_when_changed(
    app: App, principal: Principal, study_id: UUID, wait_seconds: float, if_none_match: str | None
) -> tuple[bytes, str]:
    """The study and its tag, held as a job is; empty for one that the client has already."""
    row = await visible(app, principal, study_id)
    standing = await version(app, study_id)
    held = await answers.holding(app, principal)
    tag = _tag_for(held, _tag(study_id, standing))
    unchanged = if_none_match is None or etag.matches(if_none_match, tag)
    if wait_seconds > 0 and unchanged and not standing.final:
        await wait_for_change(app, principal, row, standing.version, wait_seconds)
        row = await visible(app, principal, study_id)
        tag = _tag_for(held, _tag(study_id, await version(app, study_id)))
    if etag.matches(if_none_match, tag):
        return b"", tag
    body = await read(app, row)
    return await _shown(app, held, body.content), _tag_for(held, body.tag)


async def shown(app: App, principal: Principal, study: bytes) -> bytes:
    """The JSON of a `StudyRead` as the principal may see it now."""
    return await _shown(app, await answers.holding(app, principal), study)


async def _shown(app: App, held: Sequence[Row], study: bytes) -> bytes:
    return await app.heavy.run(answers.study_without_answers, held, study) if held else study


def _tag_for(held: Sequence[Row], tag: str) -> str:
    # After a deadline the study is the same, and its answer is another one.
    if not held:
        return tag
    what = sha256(repr([(one.experiments, one.questions) for one in held]).encode()).hexdigest()
    return f'{tag[:-1]}.{what[:16]}"'


async def wait_for_change(app: App, principal: Principal, study: Row, seen: str, wait_seconds: float) -> None:
    """Return when the study's version is no longer `seen`, when time is up, or when the process ends."""
    deadline = time.monotonic() + min(wait_seconds, app.settings.max_wait_seconds)
    with app.open_answers.taken(principal.id), app.hub.subscribed(Topic(owner_id=study.owner_id)) as notices:
        while not app.hub.closing and (left := deadline - time.monotonic()) > 0:
            if (await version(app, study.id)).version != seen:
                return
            await asyncio.sleep(min(left, LOOK_SECONDS))
            await notices.take(max(0.0, min(deadline - time.monotonic(), 4 * LOOK_SECONDS)))


async def version(app: App, study_id: UUID) -> Row:
    """Text that stands for the study as it is, whether all its runs are final, and how many are not.

    Raises `StudyNotFound`.
    """
    row: Row | None = await app.shared_work.after_now(
        ("version of a study", study_id), lambda: app.database.row(statements.version, study_id=study_id)
    )
    if row is None:
        raise StudyNotFound(f"no study of yours has the id {study_id}")
    return row


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


def _tag(study_id: UUID, standing: Row) -> str:
    return f'"{study_id.hex}.{standing.version}.{standing.marks}"'


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


def _questions(names: Sequence[str], runs: Sequence[Row]) -> list[QuestionProgressRead]:
    states: dict[str, Counter[JobState]] = {name: Counter() for name in names}
    for run in runs:
        for name in run.questions:
            states[name][JobState(run.state)] += 1
    return [
        QuestionProgressRead(
            question=name,
            title=known.title if (known := question(name)) else name,
            runs=found.total(),
            final=sum(found[state] for state in FINAL_STATES),
            succeeded=found[JobState.SUCCEEDED],
        )
        for name, found in states.items()
    ]
