"""Cards that keep themselves up to date: in a notebook in place, elsewhere a line a change."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from pydantic import BaseModel

from gpulab.client import studies
from gpulab.client.cards import Pictures, job_card, study_card
from gpulab.client.operations import Operations
from gpulab.client.series import Metrics
from gpulab.client.steps import Backoff, Emit, Sleep, Steps
from gpulab.errors import GpulabError, LabUnreachable, ServerError, TooManyRequests, WaitTimeout
from gpulab.schemas import JobRead, JobSummary, StudyRead, StudySummary
from gpulab.states import FINAL_STATES

M = TypeVar("M", bound=BaseModel)

CURVE_POINTS = 300
HOLD_SECONDS = 1.0
PAUSE_SECONDS = 0.4
PICTURES_WAIT_SECONDS = 30.0
AWAY = (LabUnreachable, ServerError, TooManyRequests)


@dataclass(frozen=True, slots=True)
class Seen:
    """What is shown, and the snapshot behind it; without one where the lab is away."""

    snapshot: Any
    card: str


def job_now(job: JobSummary | JobRead) -> Steps[Seen]:
    """The job as it is now; as it was, with the reason, where the lab does not answer."""
    operations = Operations(0)
    snapshot = None
    try:
        if job.state not in FINAL_STATES:
            snapshot = yield from operations.fetch_job(job.id, None, 0, Backoff(0))
            job = snapshot[0] if snapshot else job
        metrics = yield from operations.metrics(job.id, max_points=CURVE_POINTS)
    except GpulabError as error:
        return Seen(snapshot, job_card(job, trouble=str(error)))
    return Seen(snapshot, job_card(job, metrics.series))


def study_now(study: StudySummary | StudyRead) -> Steps[Seen]:
    """The study as it is now, with the report's pictures once it is final."""
    operations = Operations(0)
    snapshot = None
    try:
        if study.state == "running" or not isinstance(study, StudyRead):
            snapshot = yield from studies.fetch(study.id, None, 0, Backoff(0))
            study = snapshot[0] if snapshot else study
        pictures = yield from _pictures(operations, study)
    except GpulabError as error:
        return Seen(snapshot, study_card(study, trouble=str(error)))
    return Seen(snapshot, study_card(study, pictures))


def follow_job(job_id: UUID, timeout_seconds: float | None, patience_seconds: float) -> Steps[None]:
    """Emits a `Seen` about once a second until the job is final."""
    operations = Operations(0)
    metrics: Metrics | None = None

    def look(job: JobRead | None, etag: str | None) -> Steps[tuple[tuple[JobRead, str | None] | None, str]]:
        fetched = yield from operations.fetch_job(job_id, etag, HOLD_SECONDS if etag else 0, Backoff(0))
        job = fetched[0] if fetched else job
        nonlocal metrics
        metrics = yield from operations.metrics(job_id, max_points=CURVE_POINTS, since=metrics)
        return fetched, job_card(_known(job), metrics.series)

    def final(job: JobRead) -> bool:
        return job.state in FINAL_STATES

    yield from _follow(look, job_card, final, timeout_seconds, patience_seconds, what=f"job {job_id}")


def follow_study(study_id: UUID, timeout_seconds: float | None, patience_seconds: float) -> Steps[None]:
    """Emits a `Seen` about once a second until every run is final, the last one with the report's pictures."""
    operations = Operations(0)

    def look(study: StudyRead | None, etag: str | None) -> Steps[tuple[tuple[StudyRead, str | None] | None, str]]:
        fetched = yield from studies.fetch(study_id, etag, HOLD_SECONDS if etag else 0, Backoff(0))
        study = _known(fetched[0] if fetched else study)
        pictures = yield from _pictures(operations, study)
        return fetched, study_card(study, pictures)

    def final(study: StudyRead) -> bool:
        return study.state != "running"

    yield from _follow(look, study_card, final, timeout_seconds, patience_seconds, what=f"study {study_id}")


def _follow(
    look: Callable[[M | None, str | None], Steps[tuple[tuple[M, str | None] | None, str]]],
    card: Callable[..., str],
    final: Callable[[M], bool],
    timeout_seconds: float | None,
    patience_seconds: float,
    *,
    what: str,
) -> Steps[None]:
    started_at = answered_at = time.monotonic()
    seen: M | None = None
    etag: str | None = None
    while True:
        try:
            fetched, page = yield from look(seen, etag)
        except AWAY as away:
            if time.monotonic() - answered_at > patience_seconds:
                raise
            if seen is not None:
                yield Emit(Seen(None, card(seen, trouble=str(away))))
        else:
            answered_at = time.monotonic()
            seen, etag = fetched or (_known(seen), etag)
            yield Emit(Seen(fetched, page))
            if final(seen):
                return
        if timeout_seconds is not None and time.monotonic() - started_at >= timeout_seconds:
            raise WaitTimeout(f"{what} is not final after {timeout_seconds:g} s; it goes on in the lab")
        yield Sleep(PAUSE_SECONDS)


def _pictures(operations: Operations, study: StudySummary | StudyRead) -> Steps[Pictures]:
    """What the report drew, once every run is final; rendering it is asked for and waited for."""
    if study.state in {"running", "cancelled"}:
        return {}
    return (yield from studies.pictures(operations, study.id, PICTURES_WAIT_SECONDS))


def _known(value: M | None) -> M:
    assert value is not None  # noqa: S101 - without a tag there is no 304
    return value


class Display:
    """Where cards are shown: one place of a notebook, drawn over; a line a change without one."""

    def __init__(self) -> None:
        self._last = ""
        self._handle: Any = None
        self._html: Any = None
        self._show: Any = None
        # Who has no notebook running has not loaded IPython, and need not have it.
        shell: Any = sys.modules.get("IPython.core.getipython")
        if shell is not None and shell.get_ipython() is not None:
            from IPython.display import HTML, display

            self._html, self._show = HTML, display

    def show(self, card: str, line: str) -> None:
        if self._html is None:
            if line != self._last:
                print(line, flush=True)  # noqa: T201 - what the caller asked to see
            self._last = line
        elif self._handle is None:
            self._handle = self._show(self._html(card), display_id=True)
        else:
            self._handle.update(self._html(card))
