"""Turns between users: a user's requests wait for each other, and do not delay other users."""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TypeVar
from uuid import UUID

from api.http.problems import Busy
from api.limits.processor_time import Meter, meter

T = TypeVar("T")
STRANGER = "stranger"
SIGNING_IN = "signing in"
"""Users whose token or session is just looked up: strangers do not hold them up."""
asker: ContextVar[UUID | str] = ContextVar("asker", default=STRANGER)
"""Whose turn the code of this task takes: the user behind the request, once known."""
THE_LAB = "lab"
"""What requests of several users have in common, such as storing their submissions together."""


class Turns:
    """At most `size` at once, and of them at most `of_one` of one user. Those who wait are served user by user."""

    def __init__(self, size: int, *, of_one: int) -> None:
        self._size = size
        self._of_one = of_one
        self._running: Counter[UUID | str] = Counter()
        self._waiting: OrderedDict[UUID | str, deque[asyncio.Future[None]]] = OrderedDict()
        """The user who waits longest for a turn comes first."""

    @asynccontextmanager
    async def taken(self, *, wait_seconds: float) -> AsyncIterator[None]:
        """The turn of the user who asks. Raises `Busy` when it does not come in time."""
        who = asker.get()
        if self._has_room(who):
            self._running[who] += 1
        else:
            await self._wait(who, wait_seconds)
        try:
            yield
        finally:
            self._leave(who)

    async def _wait(self, who: UUID | str, wait_seconds: float) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(who, deque()).append(turn)
        try:
            async with asyncio.timeout(wait_seconds):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._leave(who)
            if isinstance(error, TimeoutError):
                raise Busy(
                    f"your request waited {wait_seconds:g} s for its turn; send fewer requests at the same time"
                ) from None
            raise

    def _has_room(self, who: UUID | str) -> bool:
        most = self._size if who == THE_LAB else self._of_one
        return self._running.total() < self._size and self._running[who] < most

    def _leave(self, who: UUID | str) -> None:
        self._running[who] -= 1
        if not self._running[who]:
            del self._running[who]
        self._serve_next()

    def _serve_next(self) -> None:
        for who in list(self._waiting):
            waiting = self._waiting[who]
            while waiting and waiting[0].cancelled():
                waiting.popleft()
            if waiting and not self._has_room(who):
                continue
            if waiting:
                self._running[who] += 1
                waiting.popleft().set_result(None)
                self._waiting.move_to_end(who)
            if not waiting:
                del self._waiting[who]


class HeavyWork:
    """Long computations, each in a thread: one at a time, since they share the interpreter with every request."""

    WAIT_SECONDS = 30.0

    def __init__(self) -> None:
        self._turns = Turns(1, of_one=1)

    async def run(self, compute: Callable[..., T], *given: object) -> T:
        """What `compute` returns. Raises `Busy` where too many wait."""
        async with self._turns.taken(wait_seconds=self.WAIT_SECONDS):
            return await asyncio.to_thread(meter.get(Meter()).counting, compute, *given)
