"""Ends the streams of those who may not read on: their token or session ended, they were shut out, or are another now.

Looked up for all open streams together, twice a second: so it needs no notice, and an end in time is seen like
any other. Whoever is somebody else now (another role or team) comes back with `Last-Event-ID` as who they are.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Protocol
from uuid import UUID

import psycopg

from api.credentials import Credential, Credentials
from api.database import Row
from api.hub import Hub, Subscription
from gpulab.states import Role
from gpulab.threads import vital_task
from models.outage import Outage

CHECK_SECONDS = 0.5


class Reader(Protocol):
    """What is looked at of the person behind a stream."""

    @property
    def credential(self) -> Credential | None: ...
    @property
    def role(self) -> Role: ...
    @property
    def team(self) -> str | None: ...


class StreamGuard:
    def __init__(self, hub: Hub, credentials: Credentials) -> None:
        self._hub = hub
        self._credentials = credentials
        self._readers: dict[Subscription, Reader] = {}
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = vital_task("stream guard", self._run(), until=self._stopping.is_set)

    async def stop(self) -> None:
        self._stopping.set()
        if self._task is not None:
            await self._task

    @contextlib.contextmanager
    def subscribed(self, job_id: UUID | None, reader: Reader) -> Iterator[Subscription]:
        """As `Hub.subscribed`, for as long as the reader may."""
        with self._hub.subscribed(job_id) as subscription:
            self._readers[subscription] = reader
            try:
                yield subscription
            finally:
                del self._readers[subscription]

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
        """End the streams whose readers are not good any more, or not the same."""
        readers = dict(self._readers)
        if not readers:
            return
        shown = {reader.credential for reader in readers.values() if reader.credential is not None}
        good = await self._credentials.rows(shown)
        for subscription, reader in readers.items():
            if reader.credential is None or not _is_same(reader, good.get(reader.credential)):
                subscription.close()


def _is_same(reader: Reader, row: Row | None) -> bool:
    return row is not None and (row.role, row.team) == (reader.role, reader.team)
