"""The HTTP interface, call by call: which request, and what its answer means."""

import json
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias, TypeVar
from urllib.parse import quote
from uuid import UUID, uuid4

from pydantic import BaseModel, ValidationError

from gpulab.client.series import Metrics, Samples
from gpulab.client.steps import CHECK_ADDRESS, Backoff, Emit, Request, Response, Steps, call
from gpulab.errors import ConfigurationError, UnexpectedAnswer
from gpulab.schemas import (
    AccuracyRead,
    ArtifactPage,
    ArtifactRead,
    DryRunRead,
    EstimateRead,
    EstimateState,
    EventPage,
    EventRead,
    ExperimentDetail,
    ExperimentPage,
    ExperimentSummary,
    JobPage,
    JobRead,
    MeRead,
    NodeEventPage,
    NodeEventRead,
    NodePage,
    NodeRead,
    NodeTokenRead,
    QueueRead,
    RevokedRead,
    StudyPage,
)
from gpulab.version import LAB_HEADER

M = TypeVar("M", bound=BaseModel)
Snapshot: TypeAlias = tuple[JobRead, str | None]
"""A job and the ETag of this version of it."""

KEY = re.compile(r"[\x21-\x7e]{1,200}")
PAGE_LIMIT = 100
MAX_JSON_DEPTH = 64
HELD_SECONDS = 20.0
"""How long one request for an estimate is held."""


def parsed(model: type[M], response: Response) -> M:
    """The body as `model`; UnexpectedAnswer when it is something else."""
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        stranger = "" if LAB_HEADER in response.headers else f"; {CHECK_ADDRESS}"
        what = f"cannot read the answer of {response.lab} as {model.__name__}: {where}: {first['msg']}{stranger}"
        raise UnexpectedAnswer(what) from None


def job_path(job_id: UUID | str, *rest: str) -> str:
    """The path of a job or of something below it; ids and names are data, never path syntax."""
    return "/".join(["/v1/jobs", *(quote(str(part), safe="") for part in (job_id, *rest))])


def node_path(name: str, *rest: str) -> str:
    """The path of something below a node."""
    return "/".join(["/v1/nodes", *(quote(part, safe="") for part in (name, *rest))])


class Operations:
    """Each method is one operation; `retry_seconds` is how long an answer is tried for while the lab is away."""

    def __init__(self, retry_seconds: float) -> None:
        self.retry_seconds = retry_seconds

    def submit(
        self, experiment: str, spec: Mapping[str, Any] | BaseModel | None, idempotency_key: str | None, **options: Any
    ) -> Steps[JobRead]:
        response = yield from self._send(_submission(experiment, spec, idempotency_key, options))
        return parsed(JobRead, response)

    def dry_run(self, experiment: str, spec: Mapping[str, Any] | BaseModel | None, **options: Any) -> Steps[DryRunRead]:
        response = yield from self._send(_submission(experiment, spec, None, options, query={"dry_run": "true"}))
        return parsed(DryRunRead, response)

    def estimate(
        self,
        experiment: str,
        spec: Mapping[str, Any] | BaseModel | None,
        gpus: Iterable[str],
        timeout_seconds: float,
    ) -> Steps[EstimateRead]:
        """Asked again until it is answered or the time is up; the last answer may be `pending`."""
        body = {"experiment": experiment, "spec": _plain(spec), "gpus": list(gpus)}
        deadline = time.monotonic() + timeout_seconds
        while True:
            left = max(0.0, min(deadline - time.monotonic(), HELD_SECONDS))
            # Asking twice is asking once.
            request = Request(
                "POST", "/v1/estimates", query={"wait": f"{left:g}"}, body=body, read_timeout_seconds=left + 30
            )
            found = parsed(EstimateRead, (yield from self._send(request)))
            if found.state is not EstimateState.PENDING or left <= 0:
                return found

    def estimate_accuracy(self) -> Steps[AccuracyRead]:
        return parsed(AccuracyRead, (yield from self._send(Request("GET", "/v1/estimates/accuracy"))))

    def job(self, job_id: UUID | str) -> Steps[Snapshot]:
        snapshot = yield from self.refresh(job_id, None, 0, None)
        if snapshot is None:
            raise UnexpectedAnswer("304 to a question without If-None-Match")
        return snapshot

    def refresh(
        self, job_id: UUID | str, etag: str | None, wait_seconds: float, patience_seconds: float | None
    ) -> Steps[Snapshot | None]:
        patience_seconds = self.retry_seconds if patience_seconds is None else patience_seconds
        return (yield from self.fetch_job(job_id, etag, wait_seconds, Backoff(patience_seconds)))

    def fetch_job(
        self, job_id: UUID | str, etag: str | None, wait_seconds: float, backoff: Backoff
    ) -> Steps[Snapshot | None]:
        """The job as it is, or None when after `wait_seconds` it still is what `etag` stands for."""
        request = Request(
            "GET",
            job_path(job_id),
            query={"wait": f"{wait_seconds:g}" if wait_seconds else None},
            headers={"If-None-Match": etag} if etag else {},
            read_timeout_seconds=wait_seconds + 30,
        )
        response = yield from call(request, backoff)
        return None if response.status == 304 else (parsed(JobRead, response), response.headers.get("etag"))

    def jobs(self, limit: int | None, **filters: Any) -> Steps[None]:
        """Emits `JobSummary`s, newest first, page by page, at most `limit`."""
        yield from self.pages(JobPage, "/v1/jobs", filters, limit)

    def events(self, job_id: UUID) -> Steps[list[EventRead]]:
        found: list[EventRead] = []
        cursor: str | None = None
        while True:
            request = Request("GET", job_path(job_id, "events"), query={"limit": PAGE_LIMIT, "cursor": cursor})
            page = parsed(EventPage, (yield from self._send(request)))
            found.extend(page.items)
            cursor = page.next_cursor
            if cursor is None:
                return found

    def cancel(self, job_id: UUID) -> Steps[JobRead]:
        # Asking twice to cancel is asking once.
        return parsed(JobRead, (yield from self._send(Request("POST", job_path(job_id, "cancel")))))

    def retry(self, job_id: UUID) -> Steps[JobRead]:
        request = Request("POST", job_path(job_id, "retry"), repeatable=False)
        return parsed(JobRead, (yield from self._send(request)))

    def metrics(
        self,
        job_id: UUID,
        names: Iterable[str] | None = None,
        after_step: int | None = None,
        max_points: int | None = None,
        since: Metrics | None = None,
    ) -> Steps[Metrics]:
        if since is not None and max_points is not None and _grown(since, max_points):
            since = None
        query = {
            "names": None if names is None else ",".join(names),
            "after_step": after_step,
            "after": None if since is None else since.cursor,
            "max_points": max_points,
        }
        newer = parsed(Metrics, (yield from self._send(Request("GET", job_path(job_id, "metrics"), query=query))))
        return newer if since is None else since.followed_by(newer)

    def samples(self, job_id: UUID, max_points: int | None) -> Steps[Samples]:
        request = Request("GET", job_path(job_id, "samples"), query={"max_points": max_points})
        return parsed(Samples, (yield from self._send(request)))

    def artifacts(self, job_id: UUID) -> Steps[list[ArtifactRead]]:
        request = Request("GET", job_path(job_id, "artifacts"))
        return parsed(ArtifactPage, (yield from self._send(request))).items

    def queue(self, job_id: UUID) -> Steps[QueueRead]:
        return parsed(QueueRead, (yield from self._send(Request("GET", job_path(job_id, "queue")))))

    def experiments(self) -> Steps[list[ExperimentSummary]]:
        return parsed(ExperimentPage, (yield from self._send(Request("GET", "/v1/experiments")))).items

    def experiment(self, slug: str) -> Steps[ExperimentDetail]:
        request = Request("GET", f"/v1/experiments/{quote(slug, safe='')}")
        return parsed(ExperimentDetail, (yield from self._send(request)))

    def nodes(self) -> Steps[list[NodeRead]]:
        return parsed(NodePage, (yield from self._send(Request("GET", "/v1/nodes")))).items

    def node_events(self, name: str) -> Steps[list[NodeEventRead]]:
        return parsed(NodeEventPage, (yield from self._send(Request("GET", node_path(name, "events"))))).items

    def drain_node(self, name: str, reason: str | None) -> Steps[NodeRead]:
        request = Request("POST", node_path(name, "drain"), body={} if reason is None else {"reason": reason})
        return parsed(NodeRead, (yield from self._send(request)))

    def undrain_node(self, name: str) -> Steps[NodeRead]:
        return parsed(NodeRead, (yield from self._send(Request("POST", node_path(name, "undrain")))))

    def make_node_token(self, name: str) -> Steps[NodeTokenRead]:
        request = Request("POST", node_path(name, "token"), repeatable=False)
        return parsed(NodeTokenRead, (yield from self._send(request)))

    def revoke_node_tokens(self, name: str) -> Steps[RevokedRead]:
        return parsed(RevokedRead, (yield from self._send(Request("DELETE", node_path(name, "token")))))

    def me(self) -> Steps[MeRead]:
        return parsed(MeRead, (yield from self._send(Request("GET", "/v1/me"))))

    def _send(self, request: Request) -> Steps[Response]:
        return (yield from call(request, Backoff(self.retry_seconds)))

    def pages(
        self, page_model: type[JobPage] | type[StudyPage], path: str, filters: Mapping[str, Any], limit: int | None
    ) -> Steps[None]:
        """Emits the items of a list, page by page, at most `limit`."""
        cursor: str | None = None
        left = limit
        while left is None or left > 0:
            size = PAGE_LIMIT if left is None else min(left, PAGE_LIMIT)
            request = Request("GET", path, query={**filters, "limit": size, "cursor": cursor})
            page = parsed(page_model, (yield from self._send(request)))
            for item in page.items[:size]:
                yield Emit(item)
            left = None if left is None else left - len(page.items)
            cursor = page.next_cursor
            if cursor is None:
                return


def _submission(
    experiment: str,
    spec: Mapping[str, Any] | BaseModel | None,
    idempotency_key: str | None,
    options: Mapping[str, Any],
    query: Mapping[str, Any] | None = None,
) -> Request:
    given = {name: value for name, value in options.items() if value is not None}
    body = {"experiment": experiment, "spec": _plain(spec), **given}
    return Request("POST", "/v1/jobs", query=query or {}, headers=key_header(body, idempotency_key), body=body)


def _plain(spec: Mapping[str, Any] | BaseModel | None) -> dict[str, Any]:
    return spec.model_dump(mode="json") if isinstance(spec, BaseModel) else dict(spec or {})


def key_header(body: Mapping[str, Any], idempotency_key: str | None) -> dict[str, str]:
    """The header that lets a submission be sent again. Raises ConfigurationError for a bad key or body."""
    if (unfit := _unfit(body, "")) is not None:
        raise ConfigurationError(f"the submission cannot be sent as JSON: {unfit}")
    key = str(uuid4()) if idempotency_key is None else idempotency_key
    if not KEY.fullmatch(key):
        raise ConfigurationError(f"idempotency_key must be 1 to 200 visible ASCII characters, not {key!r}")
    return {"Idempotency-Key": key}


def _unfit(value: Any, path: str, depth: int = 0) -> str | None:
    """The path of what JSON cannot hold, and why it cannot."""
    if depth > MAX_JSON_DEPTH:
        return f"{path[:80]}: nested deeper than {MAX_JSON_DEPTH} levels"
    if isinstance(value, Mapping):
        children = list(value.items())
    elif isinstance(value, list | tuple):
        children = list(enumerate(value))
    else:
        return _unfit_leaf(value, path)
    where = f"{path}." if path else ""
    return next((found for key, child in children if (found := _unfit(child, f"{where}{key}", depth + 1))), None)


def _unfit_leaf(value: Any, path: str) -> str | None:
    try:
        json.dumps(value, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        return f"{path}: {error}"
    return None


def _grown(metrics: Metrics, max_points: int) -> bool:
    """Whether so much was added that the lab had better thin all of it again."""
    return any(len(series.steps) > 2 * max_points for series in metrics.series)
