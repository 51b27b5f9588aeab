"""One LISTEN connection for the whole process: it wakes long polls and feeds streams, none of which holds one."""

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from uuid import UUID

import psycopg
import structlog

from api.jobs import statements as jobs
from api.live.subscriptions import EVERYTHING, JobChanged, RecordsGrew, Resync, Subscription, Subscriptions, Topic
from api.sql.database import Database, sql_of
from api.sql.pool import Connection, connect
from gpulab.states import JobState
from gpulab.threads import vital_task
from models import channels
from models.database import DatabaseAwayError, noticing_absence
from models.outage import Outage
from models.statements import readiness

BATCH_SECONDS = 0.05
"""Notices of this long are looked into together."""
RECHECK_SECONDS = 2.0
"""A held request looks at its job this often, should a notice be lost."""
PROOF_SECONDS = 1.0
"""Interval of checking the listening connection. Its answer brings every notice committed before it."""
TRUST_SECONDS = 3.0
"""A connection whose last proof is older may be cut off without knowing it."""
RECONNECT_SECONDS = 0.5

KNOWN_OWNERS = 20_000

CHANNELS = (channels.JOBS, channels.DATA, channels.ESTIMATES, channels.USERS)

log = structlog.get_logger()


class _Watch:
    def __init__(self, version: int) -> None:
        self.version = version
        self.event = asyncio.Event()


class Hub:
    def __init__(self, database_url: str, database: Database) -> None:
        self.listening = False
        self.closing = False
        self.users_version = 0
        """Grows whenever a user, a token or a session changed, or may have."""
        self._proved_at = 0.0
        self._url = database_url
        self._database = database
        self._subscriptions = Subscriptions()
        self._owners: OrderedDict[UUID, UUID] = OrderedDict()
        """Of jobs heard of lately. The owner of a job never changes."""
        self._watches: dict[UUID, set[_Watch]] = {}
        self._estimates: dict[UUID, set[asyncio.Event]] = {}
        self._dirty: set[UUID] = set()
        self._dirty_event = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return len(self._subscriptions)

    @property
    def held(self) -> int:
        """How many requests are held by `?wait=`."""
        return sum(map(len, self._watches.values())) + sum(map(len, self._estimates.values()))

    @property
    def hears_all(self) -> bool:
        """Whether a change that was committed a moment ago would have been heard."""
        return self.listening and time.monotonic() - self._proved_at < TRUST_SECONDS

    def users_changed(self) -> None:
        """Drop what is cached of users. Code that changes users calls this, since the notice comes after the answer."""
        self.users_version += 1

    def start(self) -> None:
        self._tasks = [
            vital_task("listener", self._listen(), until=lambda: self.closing),
            vital_task("recheck", self._recheck(), until=lambda: self.closing),
        ]

    def close(self) -> None:
        """End every stream and let every held request answer. Safe to call from the loop at any time."""
        self.closing = True
        for subscription in self._subscriptions:
            subscription.close()
        self._wake(watch for watches in self._watches.values() for watch in watches)
        for events in self._estimates.values():
            _set(events)

    async def stop(self) -> None:
        self.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @contextlib.contextmanager
    def subscribed(self, topic: Topic = EVERYTHING) -> Iterator[Subscription]:
        """The notices of a topic."""
        subscription = Subscription(topic)
        if self.closing:
            subscription.close()
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    async def wait_for_change(self, job_id: UUID, version: int, timeout_seconds: float) -> None:
        """Return when the job's version is no longer `version`, at the time-out, or when the process ends."""
        watch = _Watch(version)
        self._watches.setdefault(job_id, set()).add(watch)
        # It may have changed between the caller's look and now.
        self._mark([job_id])
        try:
            if not self.closing:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(timeout_seconds):
                        await watch.event.wait()
        finally:
            watches = self._watches[job_id]
            watches.discard(watch)
            if not watches:
                del self._watches[job_id]

    @contextlib.contextmanager
    def estimate_heard_of(self, estimate_id: UUID) -> Iterator[asyncio.Event]:
        """An event that is set when a notice of the estimate comes, and when the process ends."""
        event = asyncio.Event()
        if self.closing:
            event.set()
        self._estimates.setdefault(estimate_id, set()).add(event)
        try:
            yield event
        finally:
            self._estimates[estimate_id].discard(event)
            if not self._estimates[estimate_id]:
                del self._estimates[estimate_id]

    def dispatch(self, channel: str, payload: str) -> None:
        """Hand a notification on. One that is not ours to read is left alone."""
        if channel == channels.USERS:
            self.users_changed()
            return
        try:
            if channel == channels.ESTIMATES:
                _set(self._estimates.get(UUID(payload.partition(" ")[0]), ()))
                return
            notice = _parse(channel, payload)
        except ValueError:
            log.warning("notice.unreadable", channel=channel, payload=payload[:200])
            return
        self._subscriptions.offer(notice, self._owners.get(notice.job_id))
        if isinstance(notice, RecordsGrew):
            self._mark([notice.job_id])
        else:
            self._wake(watch for watch in self._watches.get(notice.job_id, ()) if watch.version != notice.version)

    def _wake(self, watches: Iterable[_Watch]) -> None:
        for watch in watches:
            watch.event.set()

    def _mark(self, job_ids: Iterable[UUID]) -> None:
        self._dirty.update(job_id for job_id in job_ids if job_id in self._watches)
        if self._dirty:
            self._dirty_event.set()

    async def _listen(self) -> None:
        outage = Outage("listener.disconnected")
        while not self.closing:
            try:
                with noticing_absence():
                    async with await connect(self._url) as connection:
                        await self._hear(connection, outage)
            except psycopg.OperationalError as error:
                outage.goes_on(error)
            self.listening = False
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _hear(self, connection: Connection, outage: Outage) -> None:
        for channel in CHANNELS:
            await connection.execute(f"LISTEN {channel}")
        await self._prove(connection)
        outage.over()
        self._heard_anew()
        while not self.closing:
            heard = [one async for one in connection.notifies(timeout=PROOF_SECONDS, stop_after=1)]
            if self._subscriptions.need_owners:
                await self._learn_owners(connection, {_job_of(one.channel, one.payload) for one in heard})
            for notification in heard:
                self.dispatch(notification.channel, notification.payload)
            if time.monotonic() - self._proved_at >= PROOF_SECONDS:
                await self._prove(connection)

    async def _learn_owners(self, connection: Connection, job_ids: set[UUID | None]) -> None:
        """Once for all streams, on this connection: it depends neither on how many there are nor on the pool."""
        unknown = [job_id for job_id in job_ids if job_id is not None and job_id not in self._owners]
        if not unknown:
            return
        cursor = await connection.execute(*sql_of(jobs.owners, job_ids=unknown), binary=True)
        self._owners.update((row.id, row.owner_id) for row in await cursor.fetchall())
        while len(self._owners) > KNOWN_OWNERS:
            self._owners.popitem(last=False)

    async def _prove(self, connection: Connection) -> None:
        asked_at = time.monotonic()
        cursor = await connection.execute(*sql_of(readiness.read_only))
        row = await cursor.fetchone()
        if row is None or row[0]:
            raise DatabaseAwayError("the database is read-only, so there are no notices of changes")
        self._proved_at = asked_at

    def _heard_anew(self) -> None:
        self.listening = True
        self.users_changed()
        for subscription in self._subscriptions:
            subscription.offer(Resync())
        self._mark(self._watches)

    async def _recheck(self) -> None:
        """Compare the versions of watched jobs, all in one statement, on a hint of a change or after a while."""
        outage = Outage("recheck.failed")
        while True:
            try:
                async with asyncio.timeout(RECHECK_SECONDS):
                    await self._dirty_event.wait()
                await asyncio.sleep(BATCH_SECONDS)
            except TimeoutError:
                self._dirty.update(self._watches)
            self._dirty_event.clear()
            asked, self._dirty = self._dirty & self._watches.keys(), set()
            if asked:
                try:
                    await self._compare(asked)
                except psycopg.OperationalError as error:
                    outage.goes_on(error)
                else:
                    outage.over()

    async def _compare(self, asked: set[UUID]) -> None:
        rows = await self._database.rows(jobs.versions, job_ids=list(asked))
        found = {row.id: row.version for row in rows}
        for job_id in asked:
            self._wake(watch for watch in self._watches.get(job_id, ()) if watch.version != found.get(job_id))


def _set(events: Iterable[asyncio.Event]) -> None:
    for event in events:
        event.set()


def _job_of(channel: str, payload: str) -> UUID | None:
    """The job that a notification is of, as far as it can be read."""
    if channel not in (channels.JOBS, channels.DATA):
        return None
    try:
        return UUID(payload.partition(" ")[0])
    except ValueError:
        return None


def _parse(channel: str, payload: str) -> JobChanged | RecordsGrew:
    if channel == channels.DATA:
        return RecordsGrew(UUID(payload))
    job_id, event_id, version, state = payload.split(" ")
    return JobChanged(UUID(job_id), int(event_id), int(version), JobState(state))
