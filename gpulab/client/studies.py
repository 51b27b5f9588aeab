"""Studies, call by call, and what the sync and the async study share."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from gpulab.client.cards import study_card
from gpulab.client.downloads import download
from gpulab.client.following import LONG_POLL_SECONDS, hold
from gpulab.client.operations import Operations, job_path, key_header, parsed
from gpulab.client.steps import Backoff, Request, Sleep, Steps, call, retry_after_seconds
from gpulab.errors import ConfigurationError, JobFailed, JobNotLoaded, WaitTimeout
from gpulab.schemas import StudyPage, StudyRead, StudySummary

if TYPE_CHECKING:
    from pandas import DataFrame

Snapshot = tuple[StudyRead, str | None]
REST_SECONDS = 2.0
"""A study changes with every step of each of its runs, and all of it is read at each look."""
MAX_PICTURE_BYTES = 2**20
FORMATS = {"html": "report.html", "md": "report.md", "json": "findings.json"}


def path_of(study_id: UUID | str, *rest: str) -> str:
    return "/".join(["/v1/studies", str(UUID(str(study_id))), *rest])


def submit(operations: Operations, idempotency_key: str | None, **order: Any) -> Steps[StudyRead]:
    body = {name: value for name, value in order.items() if value is not None}
    request = Request("POST", "/v1/studies", headers=key_header(body, idempotency_key), body=body)
    return parsed(StudyRead, (yield from call(request, Backoff(operations.retry_seconds))))


def fetch(study_id: UUID | str, etag: str | None, wait_seconds: float, backoff: Backoff) -> Steps[Snapshot | None]:
    """The study as it is, or None when after `wait_seconds` it still is what `etag` stands for."""
    request = Request(
        "GET",
        path_of(study_id),
        query={"wait": f"{wait_seconds:g}" if wait_seconds else None},
        headers={"If-None-Match": etag} if etag else {},
        read_timeout_seconds=wait_seconds + 60,
    )
    response = yield from call(request, backoff)
    return None if response.status == 304 else (parsed(StudyRead, response), response.headers.get("etag"))


def get(operations: Operations, study_id: UUID | str) -> Steps[Snapshot]:
    found = yield from fetch(study_id, None, 0, Backoff(operations.retry_seconds))
    assert found is not None  # noqa: S101 - without a tag there is no 304
    return found


def pages(operations: Operations, limit: int | None) -> Steps[None]:
    """Emits `StudySummary`s, newest first, at most `limit`."""
    yield from operations.pages(StudyPage, "/v1/studies", {}, limit)


def act(operations: Operations, study_id: UUID, action: str, body: Mapping[str, Any] | None = None) -> Steps[StudyRead]:
    # Each of these twice does no more than once: a run is replaced only where it ended badly, a seed is there or not.
    request = Request("POST", path_of(study_id, action), body=body)
    return parsed(StudyRead, (yield from call(request, Backoff(operations.retry_seconds))))


def wait_until_final(study_id: UUID, timeout_seconds: float | None, patience_seconds: float) -> Steps[None]:
    """Emits a `Snapshot` a version until every run is final."""

    def look(etag: str | None, hold_seconds: float, backoff: Backoff) -> Steps[Snapshot | None]:
        return fetch(study_id, etag, hold_seconds, backoff)

    def final(study: StudyRead) -> bool:
        return study.state != "running"

    what = f"study {study_id}"
    yield from hold(look, final, timeout_seconds, patience_seconds, what=what, rest_seconds=REST_SECONDS)


def report(
    operations: Operations,
    study_id: UUID,
    folder: Path,
    format: str | None,  # noqa: A002 - the interface calls it so
    timeout_seconds: float | None,
    patience_seconds: float,
) -> Steps[list[Path]]:
    """Wait until the report is rendered and fetch its files, all or the one of `format`."""
    if format is not None and format not in FORMATS:
        raise ConfigurationError(f"format must be one of {', '.join(FORMATS)}, not {format!r}")
    wanted = None if format is None else FORMATS[format]
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    backoff = Backoff(patience_seconds)
    hold_seconds = 0.0
    while True:
        request = Request(
            "GET",
            path_of(study_id, "report"),
            query={"format": "json", "wait": f"{hold_seconds:g}"},
            read_timeout_seconds=hold_seconds + 60,
        )
        asked_at = time.monotonic()
        response = yield from call(request, backoff)
        if response.status == 200:
            break
        left = LONG_POLL_SECONDS if deadline is None else deadline - time.monotonic()
        if left <= 0:
            raise WaitTimeout(f"the report of study {study_id} is not there after {timeout_seconds:g} s")
        if time.monotonic() - asked_at < hold_seconds / 2:
            yield Sleep(min(left, max(retry_after_seconds(response), 0.5)))
        hold_seconds = min(left, LONG_POLL_SECONDS)
    study, _ = yield from get(operations, study_id)
    assert study.report_job_id is not None  # noqa: S101 - the report came out of it
    files = yield from operations.artifacts(study.report_job_id)
    paths: list[Path] = []
    for name in [file.name for file in files if wanted in (None, file.name)]:
        paths.append((yield from download(operations, study.report_job_id, name, folder, None)))  # noqa: PERF401 - it yields
    return paths


def pictures(operations: Operations, study_id: UUID, wait_seconds: float) -> Steps[dict[str, bytes]]:
    """The report's pictures by name, waiting for it at most `wait_seconds`; none where it is not there by then."""
    wait = f"{wait_seconds:g}"
    query = {"format": "json", "wait": wait}
    request = Request("GET", path_of(study_id, "report"), query=query, read_timeout_seconds=wait_seconds + 60)
    response = yield from call(request, Backoff(operations.retry_seconds))
    study, _ = yield from get(operations, study_id)
    if response.status != 200 or study.report_job_id is None:
        return {}
    files = yield from operations.artifacts(study.report_job_id)
    found: dict[str, bytes] = {}
    for file in [file for file in files if file.name.endswith(".png") and file.size_bytes <= MAX_PICTURE_BYTES]:
        request = Request("GET", job_path(study.report_job_id, "artifacts", file.name))
        found[file.name] = (yield from call(request, Backoff(operations.retry_seconds))).content
    return found


class StudyView:
    """A study as it was when last looked at; `refresh()` looks again. Everything the lab said is in `data`."""

    def __init__(self, data: StudySummary | StudyRead, etag: str | None = None) -> None:
        self.data = data
        self._etag = etag

    @property
    def id(self) -> UUID:
        return self.data.id

    @property
    def title(self) -> str:
        return self.data.title

    @property
    def state(self) -> str:
        """`running` until every run is final; then `succeeded`, `failed` or `cancelled`."""
        return self.data.state

    @property
    def is_final(self) -> bool:
        """True when no run will change any more."""
        return self.data.state != "running"

    @property
    def progress(self) -> float:
        """0 to 1, over all runs."""
        return self.data.progress

    def table(self) -> list[dict[str, Any]]:
        """The comparison: a row for each cell and number, with `mean`, `sd`, `min`, `max` and `n`."""
        return [
            {**cell.cell, "experiment": cell.experiment, "quantity": name, **found.model_dump()}
            for cell in self._loaded().comparison
            for name, found in cell.fields.items()
        ]

    def to_dataframe(self) -> "DataFrame":
        """`table()` as a data frame; needs pandas."""
        from pandas import DataFrame

        return DataFrame(self.table())

    def raise_for_failure(self) -> Self:
        """Raise JobFailed when a run failed or was cancelled; return the study otherwise."""
        if self.state in {"failed", "cancelled"}:
            counts = ", ".join(f"{count} {state}" for state, count in self.data.states.items())
            raise JobFailed(f"study {self.id} {self.state}: {counts}", cause=None)
        return self

    def _see(self, seen: Snapshot | None) -> None:
        if seen is not None:
            self.data, self._etag = seen

    def _loaded(self) -> StudyRead:
        if isinstance(self.data, StudyRead):
            return self.data
        raise JobNotLoaded(f"study {self.id} came from a list, without its comparison: refresh() it first")

    def __repr__(self) -> str:
        counts: Sequence[str] = [f"{count} {state}" for state, count in self.data.states.items()]
        return f"<{type(self).__name__} {self.id} {self.title!r} {', '.join(counts)}>"

    def _repr_html_(self) -> str:
        """A card for notebooks, of what was last seen."""
        return study_card(self.data)
