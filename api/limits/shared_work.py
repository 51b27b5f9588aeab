"""Work that many ask for at the same moment is done once; its newest result is kept until it is out of date."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from api.http.problems import Busy
from gpulab.threads import vital_task

T = TypeVar("T")
KEPT_BYTES = 64 * 2**20


class SharedWork:
    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Future[Any]] = {}

    async def after_now(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        """The result of a run of `work` that began after this call. All who ask meanwhile share it.

        It runs in the turn of the user who asked first. When that turn does not come, the others try in their own.
        """
        asked_first = key not in self._running
        try:
            return await self._shared(key, work)
        except Busy:
            if asked_first:
                raise
        return await self._shared(key, work)

    async def _shared(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        if (running := self._running.get(key)) is not None:
            # It began before, and may have missed what changed since.
            await asyncio.wait([running])
        if (running := self._running.get(key)) is None:
            running = self._running[key] = asyncio.get_running_loop().create_future()
            vital_task("shared work", self._run(key, work, running))
        # A client that leaves does not end what others wait for.
        found: T = await asyncio.shield(running)
        return found

    async def _run(self, key: Hashable, work: Callable[[], Awaitable[T]], done: asyncio.Future[T]) -> None:
        try:
            found = await work()
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            del self._running[key]
            done.set_exception(error)
            # All who waited may have left.
            done.exception()
        else:
            del self._running[key]
            done.set_result(found)


class Body(NamedTuple):
    """An answer and the tag of the version that it shows."""

    tag: str
    content: bytes


class KeptBodies:
    """The newest answer about each thing; those read longest ago go first."""

    def __init__(self, max_bytes: int = KEPT_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._kept: OrderedDict[UUID, Body] = OrderedDict()

    def get(self, thing: UUID, tag: str) -> Body | None:
        body = self._kept.get(thing)
        if body is None or body.tag != tag:
            return None
        self._kept.move_to_end(thing)
        return body

    def keep(self, thing: UUID, body: Body) -> None:
        former = self._kept.pop(thing, None)
        self._bytes += len(body.content) - (0 if former is None else len(former.content))
        self._kept[thing] = body
        while self._bytes > self._max_bytes:
            _, gone = self._kept.popitem(last=False)
            self._bytes -= len(gone.content)
