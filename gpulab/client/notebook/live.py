"""Cards that keep themselves up to date: in a notebook in place, elsewhere a line a change."""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel

from gpulab.client import reports
from gpulab.client.notebook.cards import Pictures, job_card, study_card
from gpulab.client.series import Metrics, fetch_metrics
from gpulab.client.transport.http import Http, Snapshot, path_of
from gpulab.client.transport.pauses import pause
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
class Seen(Generic[M]):
    """What is shown, and the snapshot behind it; without one if the lab is away."""

    snapshot: Snapshot[M] | None
    card: str


def job_now(http: Http, job: JobSummary | JobRead) -> Seen[JobRead]:
    """The job as it is now; as it was, with the reason, if the lab does not answer."""
    http = http.without_retries()
    snapshot = None
    try:
        if job.state not in FINAL_STATES:
            snapshot = http.look(JobRead, path_of("jobs", job.id), None)
            job = snapshot[0] if snapshot else job
        metrics = fetch_metrics(http, job.id, max_points=CURVE_POINTS)
    except GpulabError as error:
        return Seen(snapshot, job_card(job, trouble=str(error)))
    return Seen(snapshot, job_card(job, metrics.series))


def study_now(http: Http, study: StudySummary | StudyRead) -> Seen[StudyRead]:
    """The study as it is now, with the report's images once it is final."""
    http = http.without_retries()
    snapshot = None
    try:
        if study.state == "running" or not isinstance(study, StudyRead):
            snapshot = http.look(StudyRead, path_of("studies", study.id), None)
            study = snapshot[0] if snapshot else study
        pictures = _pictures(http, study)
    except GpulabError as error:
        return Seen(snapshot, study_card(study, trouble=str(error)))
    return Seen(snapshot, study_card(study, pictures))


def follow_job(
    http: Http, job_id: UUID, timeout_seconds: float | None, patience_seconds: float
) -> Iterator[Seen[JobRead]]:
    """What there is to show, about once a second until the job is final."""
    http = http.without_retries()
    metrics: Metrics | None = None

    def look(job: JobRead | None, etag: str | None) -> tuple[Snapshot[JobRead] | None, str]:
        fetched = http.look(JobRead, path_of("jobs", job_id), etag, HOLD_SECONDS if etag else 0)
        job = fetched[0] if fetched else job
        nonlocal metrics
        metrics = fetch_metrics(http, job_id, max_points=CURVE_POINTS, since=metrics)
        return fetched, job_card(_known(job), metrics.series)

    def final(job: JobRead) -> bool:
        return job.state in FINAL_STATES

    return _follow(look, job_card, final, timeout_seconds, patience_seconds, what=f"job {job_id}")


def follow_study(
    http: Http, study_id: UUID, timeout_seconds: float | None, patience_seconds: float
) -> Iterator[Seen[StudyRead]]:
    """What there is to show, about once a second until every run is final; at last with the report's images."""
    http = http.without_retries()

    def look(study: StudyRead | None, etag: str | None) -> tuple[Snapshot[StudyRead] | None, str]:
        fetched = http.look(StudyRead, path_of("studies", study_id), etag, HOLD_SECONDS if etag else 0)
        study = _known(fetched[0] if fetched else study)
        return fetched, study_card(study, _pictures(http, study))

    def final(study: StudyRead) -> bool:
        return study.state != "running"

    return _follow(look, study_card, final, timeout_seconds, patience_seconds, what=f"study {study_id}")


def _follow(
    look: Callable[[M | None, str | None], tuple[Snapshot[M] | None, str]],
    card: Callable[..., str],
    final: Callable[[M], bool],
    timeout_seconds: float | None,
    patience_seconds: float,
    *,
    what: str,
) -> Iterator[Seen[M]]:
    started_at = answered_at = time.monotonic()
    seen: M | None = None
    etag: str | None = None
    while True:
        try:
            fetched, page = look(seen, etag)
        except AWAY as away:
            if time.monotonic() - answered_at > patience_seconds:
                raise
            if seen is not None:
                yield Seen(None, card(seen, trouble=str(away)))
        else:
            answered_at = time.monotonic()
            seen, etag = fetched or (_known(seen), etag)
            yield Seen(fetched, page)
            if final(seen):
                return
        if timeout_seconds is not None and time.monotonic() - started_at >= timeout_seconds:
            raise WaitTimeout(f"{what} is not final after {timeout_seconds:g} s; it continues in the lab")
        pause(PAUSE_SECONDS)


def _pictures(http: Http, study: StudySummary | StudyRead) -> Pictures:
    """What the report drew, once every run is final. Asking for it starts the rendering."""
    if study.state in {"running", "cancelled"}:
        return {}
    return reports.pictures(http, study.id, PICTURES_WAIT_SECONDS)


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
