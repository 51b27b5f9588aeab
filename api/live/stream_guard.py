"""Ends the streams and downloads of those who may not read on.

Their token or session ended, they were disabled, their role, team or courses changed, or the job is shared with them
no longer. All open answers are looked up together, twice a second: so it needs no notice, and an end in time is seen
like any other. It has its own connections, and continues when requests have taken all others. A reader whose role,
team or courses changed comes back with `Last-Event-ID` under the new ones.
"""

import asyncio
import contextlib
from collections.abc import Collection, Iterator
from typing import Protocol
from uuid import UUID

import psycopg

from api.auth.credentials import Credential, good_ones
from api.auth.standing import Standing, standing_of
from api.live.hub import Hub
from api.live.subscriptions import Subscription, Topic
from api.sharing import statements as sharing
from api.sql.database import Database, Row
from gpulab.threads import vital_task
from models.outage import Outage

CHECK_SECONDS = 0.5


class Reader(Protocol):
    """What is looked at of the user behind a stream."""

    @property
    def id(self) -> UUID: ...
    @property
    def credential(self) -> Credential | None: ...
    @property
    def standing(self) -> Standing: ...


class Permit:
    """Leave to read on; `closed` once it is taken back."""

    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


class Closable(Protocol):
    def close(self) -> None: ...


class StreamGuard:
    def __init__(self, hub: Hub, database: Database) -> None:
        self._hub = hub
        self._database = database
        self._readers: dict[Closable, tuple[Reader, UUID | None]] = {}
        """Of each open answer: who reads, and of which job."""
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = vital_task("stream guard", self._run(), until=self._stopping.is_set)

    async def stop(self) -> None:
        self._stopping.set()
        if self._task is not None:
            await self._task

    @contextlib.contextmanager
    def subscribed(self, topic: Topic, reader: Reader) -> Iterator[Subscription]:
        """As `Hub.subscribed`, for as long as the reader may."""
        with self._hub.subscribed(topic) as subscription, self._guarded(subscription, reader, topic.job_id):
            yield subscription

    @contextlib.contextmanager
    def permitted(self, job_id: UUID, reader: Reader) -> Iterator[Permit]:
        """Leave to read what a job kept, until it is taken back."""
        permit = Permit()
        with self._guarded(permit, reader, job_id):
            yield permit

    @contextlib.contextmanager
    def _guarded(self, answer: Closable, reader: Reader, job_id: UUID | None) -> Iterator[None]:
        self._readers[answer] = reader, job_id
        try:
            yield
        finally:
            del self._readers[answer]

    async def _run(self) -> None:
        outage = Outage("streams.not_checked")
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CHECK_SECONDS):
                    await self._stopping.wait()
            try:
                await self.check()
            except psycopg.OperationalError as error:
                outage.goes_on(error)
            else:
                outage.over()

    async def check(self) -> None:
        """End the answers whose readers are not good any more, not the same, or may not read the job."""
        open_now = dict(self._readers)
        if not open_now:
            return
        shown = {reader.credential for reader, _ in open_now.values() if reader.credential is not None}
        good = await good_ones(self._database, shown)
        of_jobs = {(job_id, reader) for reader, job_id in open_now.values() if job_id and not reader.standing.sees_all}
        readable = await self._readable({(job_id, reader.id, reader.standing.team) for job_id, reader in of_jobs})
        for answer, (reader, job_id) in open_now.items():
            same = reader.credential is not None and _is_same(reader, good.get(reader.credential))
            if not same or ((job_id, reader) in of_jobs and (job_id, reader.id) not in readable):
                answer.close()

    async def _readable(self, asked: Collection[tuple[UUID, UUID, str | None]]) -> set[tuple[UUID, UUID]]:
        if not asked:
            return set()
        job_ids, user_ids, teams = map(list, zip(*asked, strict=True))
        rows = await self._database.rows(sharing.readable, job_ids=job_ids, user_ids=user_ids, teams=teams)
        return {(row.job_id, row.user_id) for row in rows}


def _is_same(reader: Reader, row: Row | None) -> bool:
    return row is not None and standing_of(row) == reader.standing
