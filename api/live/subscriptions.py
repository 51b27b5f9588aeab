"""Which readers a notice is for, and the readers that wait."""

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from gpulab.states import JobState

QUEUE_LIMIT = 256


@dataclass(frozen=True, slots=True)
class JobChanged:
    job_id: UUID
    event_id: int
    version: int
    state: JobState


@dataclass(frozen=True, slots=True)
class RecordsGrew:
    job_id: UUID


@dataclass(frozen=True, slots=True)
class Resync:
    """Notices may have been lost: look at everything again."""


Notice = JobChanged | RecordsGrew | Resync


@dataclass(frozen=True, slots=True)
class Topic:
    """What a reader hears of: one job, the jobs of one owner, or all jobs."""

    job_id: UUID | None = None
    owner_id: UUID | None = None


EVERYTHING = Topic()


class Subscription:
    """The notices one stream has not sent yet, a bounded number: a slow reader gets one `Resync` for its backlog."""

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self.closed = False
        self._waiting: deque[Notice] = deque()
        self._event = asyncio.Event()

    def offer(self, notice: Notice) -> None:
        if isinstance(notice, RecordsGrew) and notice in self._waiting:
            return
        if len(self._waiting) >= QUEUE_LIMIT:
            self._waiting.clear()
            notice = Resync()
        self._waiting.append(notice)
        self._event.set()

    def close(self) -> None:
        self.closed = True
        self._event.set()

    async def take(self, timeout_seconds: float) -> list[Notice] | None:
        """Everything that waits, after at most `timeout_seconds`; empty when nothing came, None when it was closed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._event.wait()
        if self.closed:
            return None
        self._event.clear()
        taken = list(self._waiting)
        self._waiting.clear()
        return taken


class Subscriptions:
    """Every open one, by topic: a notice costs nothing to those it is not for."""

    def __init__(self) -> None:
        self._by_topic: defaultdict[Topic, set[Subscription]] = defaultdict(set)

    def __len__(self) -> int:
        return sum(map(len, self._by_topic.values()))

    def __iter__(self) -> Iterator[Subscription]:
        return (subscription for found in list(self._by_topic.values()) for subscription in list(found))

    @property
    def need_owners(self) -> bool:
        """Whether there is a reader for the jobs of one owner."""
        return any(topic.owner_id is not None for topic in self._by_topic)

    def add(self, subscription: Subscription) -> None:
        self._by_topic[subscription.topic].add(subscription)

    def discard(self, subscription: Subscription) -> None:
        found = self._by_topic[subscription.topic]
        found.discard(subscription)
        if not found:
            del self._by_topic[subscription.topic]

    def offer(self, notice: JobChanged | RecordsGrew, owner_id: UUID | None) -> None:
        """Hand the notice to those it is for. `owner_id` is null if there is no job or no reader follows an owner."""
        topics = {EVERYTHING, Topic(job_id=notice.job_id)} | ({Topic(owner_id=owner_id)} if owner_id else set())
        for topic in topics & self._by_topic.keys():
            for subscription in self._by_topic[topic]:
                subscription.offer(notice)
