"""The rendered report of a study: waiting for it, and fetching its files."""

import time
from pathlib import Path
from uuid import UUID

import httpx

from gpulab.client.downloads import artifacts, download
from gpulab.client.following import LONG_POLL_SECONDS
from gpulab.client.transport.answers import retry_after_seconds
from gpulab.client.transport.http import Http, path_of
from gpulab.client.transport.pauses import Backoff, pause
from gpulab.errors import ConfigurationError, Forbidden, WaitTimeout
from gpulab.schemas import StudyRead

MAX_PICTURE_BYTES = 2**20
FORMATS = {"html": "report.html", "md": "report.md", "json": "findings.json"}
READ_TIMEOUT_SECONDS = 60.0


def fetch_report(
    http: Http,
    study_id: UUID,
    folder: Path,
    format: str | None,  # noqa: A002 - the interface calls it so
    timeout_seconds: float | None,
    patience_seconds: float,
) -> list[Path]:
    """Wait until the report is rendered and fetch its files, all or the one of `format`."""
    if format is not None and format not in FORMATS:
        raise ConfigurationError(f"format must be one of {', '.join(FORMATS)}, not {format!r}")
    wanted = None if format is None else FORMATS[format]
    _wait_until_rendered(http, study_id, timeout_seconds, Backoff(patience_seconds))
    job_id = _report_job(http, study_id)
    assert job_id is not None  # noqa: S101 - the report came out of it
    names = [file.name for file in artifacts(http, job_id) if wanted in {None, file.name}]
    return [download(http, job_id, name, folder) for name in names]


def pictures(http: Http, study_id: UUID, wait_seconds: float) -> dict[str, bytes]:
    """The report's images by name; none if it is not rendered after `wait_seconds`, or answers are held back."""
    try:
        response = _ask(http, study_id, wait_seconds, Backoff(http.retry_seconds))
    except Forbidden:
        return {}
    job_id = _report_job(http, study_id)
    if response.status_code != 200 or job_id is None:
        return {}
    files = [file for file in artifacts(http, job_id) if file.name.endswith(".png")]
    small = [file.name for file in files if file.size_bytes <= MAX_PICTURE_BYTES]
    return {name: http.send("GET", path_of("jobs", job_id, "artifacts", name)).content for name in small}


def _wait_until_rendered(http: Http, study_id: UUID, timeout_seconds: float | None, backoff: Backoff) -> None:
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    hold_seconds = 0.0
    while True:
        asked_at = time.monotonic()
        response = _ask(http, study_id, hold_seconds, backoff)
        if response.status_code == 200:
            return
        left = LONG_POLL_SECONDS if deadline is None else deadline - time.monotonic()
        if left <= 0:
            raise WaitTimeout(f"the report of study {study_id} is not ready after {timeout_seconds:g} s")
        if time.monotonic() - asked_at < hold_seconds / 2:
            pause(min(left, max(retry_after_seconds(response), 0.5)))
        hold_seconds = min(left, LONG_POLL_SECONDS)


def _ask(http: Http, study_id: UUID, wait_seconds: float, backoff: Backoff) -> httpx.Response:
    """Asking also starts the rendering, once every run is final."""
    return http.send(
        "GET",
        path_of("studies", study_id, "report"),
        query={"format": "json", "wait": f"{wait_seconds:g}"},
        read_timeout_seconds=wait_seconds + READ_TIMEOUT_SECONDS,
        backoff=backoff,
    )


def _report_job(http: Http, study_id: UUID) -> UUID | None:
    return http.get(StudyRead, path_of("studies", study_id)).report_job_id
