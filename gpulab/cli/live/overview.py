"""The whole lab at one moment, asked for again and again: what did not change costs the lab a 304."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from threading import Event
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel

from gpulab.client import Client
from gpulab.client.transport.http import pages, path_of
from gpulab.client.transport.pauses import Backoff
from gpulab.errors import LabUnreachable, NotFound, ServerError, TooManyRequests, UnexpectedAnswer
from gpulab.schemas import JobPage, JobSummary, MeRead, NodePage, NodeRead, QueueRead
from gpulab.states import JobState
from gpulab.threads import VitalThread

M = TypeVar("M", bound=BaseModel)

PAGE = 100
MAX_PAGES = 5
MAX_PLACES = 40
"""Of how many waiting jobs the place is asked for; further ones are listed in order of submission."""
READ_TIMEOUT_SECONDS = 10.0
"""Short, so that the screen soon shows that the lab hangs."""
PASSING = (LabUnreachable, ServerError, TooManyRequests, UnexpectedAnswer)
"""What a lab says while it restarts, or a proxy in its place."""


class WaitingJob(BaseModel):
    job: JobSummary
    queue: QueueRead | None
    """Null where it was not asked for."""


class Overview(BaseModel):
    """The nodes, what runs by start, what waits by place. Jobs are those that the token may see."""

    at: datetime
    url: str
    me: MeRead
    nodes: list[NodeRead]
    running: list[JobSummary]
    waiting: list[WaitingJob]
    cut: bool
    """True when there are more jobs than these."""


class Looker:
    """Asks the lab; keeps each answer with its ETag."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._kept: dict[str, httpx.Response] = {}

    def look(self, *, patience_seconds: float = 0.0) -> Overview:
        """Raises what a client raises; LabUnreachable if no lab answered for `patience_seconds`."""
        asked: dict[str, httpx.Response] = {}
        ask = _Asking(self._client, self._kept, asked, patience_seconds)
        me = ask.one(MeRead, "/v1/me")
        nodes = ask.one(NodePage, "/v1/nodes").items
        running, more_running = ask.jobs([JobState.LEASED, JobState.RUNNING])
        queued, more_queued = ask.jobs([JobState.QUEUED])
        waiting = [WaitingJob(job=job, queue=ask.place(job)) for job in queued[:MAX_PLACES]]
        waiting.sort(key=lambda one: (one.queue is None, one.queue.position or 0 if one.queue else 0))
        waiting += [WaitingJob(job=job, queue=None) for job in queued[MAX_PLACES:]]
        # Only what was asked this time is kept, or the answers of a whole term would pile up.
        self._kept = asked
        return Overview(
            at=datetime.now(UTC),
            url=self._client.url,
            me=me,
            nodes=nodes,
            running=sorted(running, key=lambda job: (job.started_at or job.submitted_at, job.id)),
            waiting=waiting,
            cut=more_running or more_queued,
        )


@dataclass(frozen=True, slots=True)
class _Asking:
    client: Client
    kept: Mapping[str, httpx.Response]
    asked: dict[str, httpx.Response]
    patience_seconds: float

    def one(self, model: type[M], path: str, **query: Any) -> M:
        return self.client._http.parse(model, self._fetch(path, query))

    def jobs(self, states: list[JobState]) -> tuple[list[JobSummary], bool]:
        """Oldest first, and whether there are more."""

        def read(cursor: str | None) -> JobPage:
            return self.one(
                JobPage, path_of("jobs"), state=[state.value for state in states], limit=PAGE, cursor=cursor
            )

        found = list(islice(pages(read), MAX_PAGES))
        jobs = [job for page in found for job in page.items]
        return jobs[::-1], found[-1].next_cursor is not None

    def place(self, job: JobSummary) -> QueueRead | None:
        try:
            found = self.one(QueueRead, path_of("jobs", job.id, "queue"))
        except NotFound:
            return None
        return found if found.position is not None else None

    def _fetch(self, path: str, query: Mapping[str, Any]) -> httpx.Response:
        name = f"{path} {sorted(query.items())}"
        kept = self.kept.get(name)
        tag = kept.headers.get("etag") if kept else None
        answer = self.client._http.send(
            "GET",
            path,
            query=query,
            headers={"If-None-Match": tag} if tag else {},
            read_timeout_seconds=READ_TIMEOUT_SECONDS,
            backoff=Backoff(self.patience_seconds),
        )
        self.asked[name] = kept if kept and answer.status_code == 304 else answer
        return self.asked[name]


class Feed:
    """Looks again every `interval_seconds` in a separate thread, so that the keys work even if the lab hangs."""

    def __init__(self, looker: Looker, first: Overview, interval_seconds: float) -> None:
        self.latest = first
        self.trouble: str | None = None
        """Why `latest` is getting old."""
        self.refused: Exception | None = None
        """Why looking on is useless: the lab's last word, or a fault of ours."""
        self._looker = looker
        self._interval_seconds = interval_seconds
        self._stop = Event()
        # A daemon: a request that hangs must not keep the program from leaving.
        self._thread = VitalThread("looking on", self._look_on)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()

    def _look_on(self) -> None:
        while not self._stop.wait(self._interval_seconds):
            try:
                self.latest, self.trouble = self._looker.look(), None
            except PASSING as away:
                self.trouble = str(away)
            except Exception as refusal:  # noqa: BLE001 - the one who looks at it raises it again
                self.refused = refusal
                return
