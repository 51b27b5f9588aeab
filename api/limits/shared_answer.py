"""An answer that is the same for everybody, computed once for all who ask at the same time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SharedAnswer(Generic[T]):
    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        """For how long an answer is given again. A failure is not: only who waited for it hears of it."""
        self._computing = asyncio.Lock()
        self._made_at = float("-inf")
        self._answer: T | Exception = LookupError("nothing was computed yet")

    async def get(self, compute: Callable[[], Awaitable[T]]) -> T:
        """The newest answer, or what `compute` returns or raises. Who waits for another's answer takes it."""
        asked_at = time.monotonic()
        async with self._computing:
            kept_seconds = 0.0 if isinstance(self._answer, Exception) else self.seconds
            if self._made_at < asked_at - kept_seconds:
                try:
                    self._answer = await compute()
                except Exception as error:  # noqa: BLE001 - all who asked hear of it
                    self._answer = error
                self._made_at = time.monotonic()
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer
