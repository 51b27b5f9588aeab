"""Large bodies take turns: one of a user is read at a time, and between two of them everybody else is served."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from fastapi import Request

SMALL_BYTES = 16_384
"""Bodies with a known size up to this do not wait."""


class BodyTurns:
    def __init__(self) -> None:
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, request: Request) -> AsyncIterator[None]:
        """The turn of the user who sends the request. A body that is slow to arrive holds up its sender alone."""
        principal = getattr(request.state, "principal", None)
        announced = request.headers.get("content-length", "")
        if principal is None or (announced.isdecimal() and len(announced) < 10 and int(announced) <= SMALL_BYTES):
            yield
            return
        turn = self._turns.setdefault(principal.id.hex, asyncio.Lock())
        async with turn:
            yield
