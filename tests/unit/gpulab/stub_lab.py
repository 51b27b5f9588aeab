"""A small lab that speaks the HTTP interface from memory, scripted by each test; no queue, no database."""

import hashlib
import json
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID, uuid4

import httpx

from gpulab.schemas import JobCreate, JobRead, JobSummary

TOKEN = "glab_test"
NOW = datetime(2030, 1, 1, tzinfo=UTC)

EXPERIMENT = {
    "slug": "echo",
    "title": "Echo",
    "summary": "Says what it was told.",
    "questions": ["Q1"],
    "gpu": "none",
}
DETAIL = EXPERIMENT | {
    "spec_schema": {
        "type": "object",
        "properties": {
            "steps": {
                "type": "integer",
                "default": 10,
                "minimum": 1,
                "maximum": 1000,
                "description": "How many steps to take.",
            },
            "optimizer": {"$ref": "#/$defs/Optimizer", "description": "How to step."},
        },
        "$defs": {
            "Optimizer": {
                "type": "object",
                "required": ["kind"],
                "properties": {
                    "kind": {"enum": ["sgd", "adam"], "description": "Which rule."},
                    "rates": {"type": "array", "items": {"type": "number", "exclusiveMinimum": 0}, "default": [0.1]},
                },
            }
        },
    },
    "result_schema": {"type": "object"},
    "metrics": [{"name": "loss", "unit": "nat", "direction": "min", "description": "Training loss."}],
    "default_time_limit_seconds": 60,
}
NODE = {
    "name": "node-1",
    "state": "up",
    "reason": None,
    "slots": 2,
    "slots_used": 1,
    "datasets": [],
    "versions": {},
    "gpus": [
        {
            "uuid": "GPU-1",
            "node": "node-1",
            "index": 0,
            "name": "Test GPU",
            "memory_total_bytes": 8 * 2**30,
            "memory_reserved_bytes": 2**30,
            "latest": {"device_used_bytes": None, "utilization_percent": 7},
            "healthy": True,
            "reason": None,
        }
    ],
    "gpu_reason": None,
    "heartbeat_at": "2030-01-01T00:00:00Z",
}

Fault = Callable[[httpx.Request], httpx.Response]

ME = str(uuid4())
OWNER_IDS = {"ada": ME}


def make_job(**facts: Any) -> JobRead:
    """A job with only the relevant facts given."""
    usual: dict[str, Any] = {
        "id": uuid4(),
        "experiment": "echo",
        "name": None,
        "tags": [],
        "owner": "ada",
        "study_id": None,
        "state": "queued",
        "cause": None,
        "message": None,
        "priority": "normal",
        "seed": 0,
        "attempt": 0,
        "progress": None,
        "node": None,
        "submitted_at": NOW,
        "started_at": None,
        "finished_at": None,
        "changed_at": NOW,
        "spec": {},
        "result": None,
        "failure": None,
        "device": None,
        "gpus": None,
        "gpu_uuids": [],
        "gpu_memory_bytes": None,
        "exclusive": False,
        "datasets": [],
        "time_limit_seconds": 60,
        "cancel_requested_at": None,
        "retry_of": None,
        "versions": None,
        "version": 1,
    }
    return JobRead.model_validate(usual | facts)


def problem(status: int, slug: str = "trouble", detail: str = "no", **more: Any) -> httpx.Response:
    body = {"type": f"/problems/{slug}", "title": slug, "status": status, "detail": detail, **more}
    return httpx.Response(status, json=body, headers={"Content-Type": "application/problem+json"})


def dropped(request: httpx.Request) -> httpx.Response:
    """The connection breaks after the request went out."""
    raise httpx.ReadError("connection reset", request=request)


def refused(request: httpx.Request) -> httpx.Response:
    """Nobody listens."""
    raise httpx.ConnectError("connection refused", request=request)


def unavailable(_request: httpx.Request) -> httpx.Response:
    return problem(503, "not-ready")


class StubLab:
    """Answers requests. `faults` are used up first, one a request; `requests` remembers what came."""

    def __init__(self) -> None:
        self.jobs: dict[UUID, JobRead] = {}
        self.scripts: dict[UUID, deque[dict[str, Any]]] = {}
        """Changes of a job, each made when somebody waits for one."""
        self.keys: dict[str, tuple[bytes, UUID]] = {}
        self.files: dict[str, bytes] = {}
        self.sha256: dict[str, str] = {}
        """What the lab claims, where it differs from the truth."""
        self.log = ""
        self.log_pieces: deque[str] = deque()
        """Appended one a request, after it was answered."""
        self.series: list[dict[str, Any]] = []
        self.usage: list[dict[str, Any]] = []
        self.nodes: list[dict[str, Any]] = [NODE]
        packages = [{"name": "numpy", "version": "2.4.6"}, {"name": "torch", "version": "2.14.1"}]
        self.environments = [{"python": "3.11.7", "packages": packages, "nodes": ["node-1", "node-2"]}]
        self.question_sets: list[dict[str, Any]] = []
        self.role = "student"
        self.places: dict[UUID, int] = {}
        self.explanation = "All slots are taken."
        self.streams: deque[httpx.Response] = deque()
        self.faults: deque[Fault] = deque()
        self.requests: list[httpx.Request] = []
        self.page_size = 100

    def add(self, *changes: dict[str, Any], **facts: Any) -> JobRead:
        """A job, and the changes it will go through while somebody waits."""
        job = make_job(**facts)
        self.jobs[job.id] = job
        self.scripts[job.id] = deque(changes)
        return job

    def change(self, job_id: UUID, **facts: Any) -> JobRead:
        self.jobs[job_id] = JobRead.model_validate(self.jobs[job_id].model_dump() | facts)
        return self.jobs[job_id]

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.faults:
            return self.faults.popleft()(request)
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return problem(401, "unauthenticated", "send a valid token")
        path = request.url.path
        match request.method, path.split("/")[2:]:
            case "GET", ["experiments"]:
                return httpx.Response(200, json={"items": [EXPERIMENT], "broken": []})
            case "GET", ["experiments", "echo"]:
                return httpx.Response(200, json=DETAIL)
            case "GET", ["nodes" | "question-sets" | "environment" as kind]:
                items = {"nodes": self.nodes, "question-sets": self.question_sets, "environment": self.environments}[
                    kind
                ]
                return httpx.Response(200, json={"items": items, "broken": []})
            case "POST", ["nodes", _, "drain"]:
                return httpx.Response(200, json=self.nodes[0] | {"state": "draining"})
            case "GET", ["me"]:
                me = {"id": ME, "name": "ada", "role": self.role}
                return httpx.Response(200, json=me | {"token_name": "test", "token_expires_at": None})
            case "GET", ["stream"]:
                return self.streams.popleft()
            case "GET", ["jobs"]:
                return self._list(request)
            case "POST", ["jobs"]:
                return self._submit(request)
            case method, ["jobs", job_id, *rest] if _is_known(job_id, self.jobs):
                return self._job(method, self.jobs[UUID(job_id)], rest, request)
        return problem(404, "not-found", f"there is no {path}")

    def _list(self, request: httpx.Request) -> httpx.Response:
        query = request.url.params
        wanted = [job for job in self.jobs.values() if job.state in (query.get_list("state") or [job.state])]
        wanted = [
            job
            for job in wanted
            if query.get("tag", "") in ("", *job.tags)
            and query.get("owner", job.owner) in (job.owner, OWNER_IDS.get(job.owner))
        ]
        wanted = [job for job in wanted if query.get("study", str(job.study_id)) == str(job.study_id)]
        newest = [JobSummary.model_validate(job.model_dump()) for job in reversed(wanted)]
        start = int(query.get("cursor", 0))
        end = start + min(self.page_size, int(query["limit"]))
        items = [job.model_dump(mode="json") for job in newest[start:end]]
        return httpx.Response(200, json={"items": items, "next_cursor": str(end) if end < len(newest) else None})

    def _submit(self, request: httpx.Request) -> httpx.Response:
        order = JobCreate.model_validate_json(request.content)
        if order.spec.get("steps", 1) > 1000:
            wrong = {
                "path": "spec.steps",
                "message": "Input should be less than or equal to 1000",
                "limit": {"le": 1000},
                "value": order.spec["steps"],
            }
            return problem(422, "invalid-spec", "the spec is not valid", errors=[wrong])
        facts = order.model_dump(include={"experiment", "spec", "seed", "name", "tags", "priority"})
        if request.url.params.get("dry_run") == "true":
            found = facts | {"time_limit_seconds": 60, "gpus": None, "exclusive": False, "datasets": []}
            return httpx.Response(200, json=found)
        key = request.headers["idempotency-key"]
        if key in self.keys:
            content, job_id = self.keys[key]
            same = content == request.content
            return _whole(self.jobs[job_id]) if same else problem(409, "idempotency-conflict", "another body")
        job = self.add(**facts)
        self.keys[key] = (request.content, job.id)
        return _whole(job, 201)

    def _job(self, method: str, job: JobRead, rest: list[str], request: httpx.Request) -> httpx.Response:
        match method, rest:
            case "GET", []:
                return self._read(job, request)
            case "GET", ["logs"]:
                return self._logs(job, int(request.url.params["offset"]))
            case "GET", ["artifacts"]:
                return httpx.Response(200, json={"items": [self._artifact(name) for name in self.files]})
            case "GET", ["artifacts", name]:
                return _ranged(self.files[name], request)
            case "GET", ["metrics"]:
                return httpx.Response(200, json=self._metrics(job, request.url.params.get("after")))
            case "GET", ["samples"]:
                body = {"job_id": str(job.id), "tracks": [], "phases": [], "predicted_peak_bytes": None}
                return httpx.Response(200, json=body | {"usage": self.usage})
            case "GET", ["queue"]:
                place = self.places.get(job.id, 3)
                body = {
                    "state": job.state,
                    "position": place,
                    "reason": "no_free_slot",
                    "would_help": ["wait a little"],
                }
                more = {"explanation": self.explanation, "estimated_start_at": None}
                return httpx.Response(200, json=body | more)
            case "GET", ["stream"]:
                return self.streams.popleft()
            case "POST", ["cancel"] if job.state in {"succeeded", "failed", "cancelled"}:
                return problem(409, "job-is-final", f"the job is {job.state} already")
            case "POST", ["cancel"]:
                return _whole(self.change(job.id, state="cancelled"), 202)
            case "POST", ["retry"]:
                return _whole(self.add(retry_of=job.id), 202)
        return problem(404, "not-found", f"there is no {request.url.path}")

    def _read(self, job: JobRead, request: httpx.Request) -> httpx.Response:
        unchanged = request.headers.get("if-none-match") == _etag(job)
        if unchanged and self.scripts[job.id] and "wait" in request.url.params:
            job, unchanged = self.change(job.id, **self.scripts[job.id].popleft()), False
        return httpx.Response(304) if unchanged else _whole(job)

    def _metrics(self, job: JobRead, after: str | None) -> dict[str, Any]:
        """What follows the points that `after` counts; all, where it counts more than there are."""
        known = json.loads(after) if after else {}
        whole = any(count > len(one["steps"]) for one in self.series for count in [known.get(one["name"], 0)])
        newer = [_tail(one, 0 if whole else known.get(one["name"], 0)) for one in self.series]
        counts = {one["name"]: len(one["steps"]) for one in self.series}
        more = {"cursor": json.dumps(counts), "whole": whole or not after}
        return {"job_id": str(job.id), "series": newer, "names": list(counts), **more}

    def _logs(self, job: JobRead, offset: int) -> httpx.Response:
        data = self.log.encode()
        end = len(data)
        done = not self.log_pieces and job.state in {"succeeded", "failed", "cancelled"}
        body = {"offset": offset, "next_offset": end, "text": data[offset:].decode(), "complete": done}
        self.log += self.log_pieces.popleft() if self.log_pieces else ""
        return httpx.Response(200, json=body)

    def _artifact(self, name: str) -> dict[str, Any]:
        content = self.files[name]
        digest = self.sha256.get(name) or hashlib.sha256(content).hexdigest()
        facts = {"media_type": "application/octet-stream", "attempt": 1, "created_at": NOW.isoformat()}
        return {"name": name, "size_bytes": len(content), "sha256": digest, **facts}

    @contextmanager
    def serve(self, port: int = 0) -> Iterator[str]:
        """The same lab behind a real socket; yields its URL."""
        server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def _is_known(text: str, jobs: dict[UUID, JobRead]) -> bool:
    return re.fullmatch(r"[0-9a-f-]{36}", text) is not None and UUID(text) in jobs


def _etag(job: JobRead) -> str:
    return '"' + hashlib.sha256(job.model_dump_json().encode()).hexdigest()[:16] + '"'


def _whole(job: JobRead, status: int = 200) -> httpx.Response:
    return httpx.Response(status, content=job.model_dump_json(), headers={"ETag": _etag(job)})


def _ranged(content: bytes, request: httpx.Request) -> httpx.Response:
    asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", ""))
    if asked is None:
        return httpx.Response(200, content=content)
    start = int(asked[1])
    return httpx.Response(206, content=content[start:]) if start < len(content) else problem(416, "range")


def _handler(lab: StubLab) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            url = f"http://stub{self.path}"
            answer = lab.handle(httpx.Request(self.command, url, headers=dict(self.headers), content=body))
            content = answer.read()
            self.send_response(answer.status_code)
            for name in {"etag", "content-type"} & set(answer.headers):
                self.send_header(name, answer.headers[name])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _answer  # noqa: N815 - the names the standard library looks for

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


def _tail(one: dict[str, Any], start: int) -> dict[str, Any]:
    lists = {name: one[name][start:] for name in ("steps", "values", "times")}
    nonfinite = {int(at) - start: value for at, value in one["nonfinite"].items() if int(at) >= start}
    return {**one, **lists, "nonfinite": nonfinite, "total_points": len(one["steps"]) - start}


def series(name: str, values: list[float | None], **more: Any) -> dict[str, Any]:
    """One metric as the lab sends it, a point a step."""
    usual = {"times": [0.0] * len(values), "nonfinite": {}, "total_points": len(values)}
    return {"name": name, "steps": list(range(len(values))), "values": values, **usual, **more}


def json_lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]
