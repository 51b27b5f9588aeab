"""An answer that is the same for everybody, computed once for all who ask at the same time."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class SharedAnswer(Generic[T]):
    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        """For how long an answer is given again, from the moment at which its computation began."""
        self._begun_at = 0.0
        self._task: asyncio.Task[T] | None = None

    async def get(self, compute: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The newest answer, or what `compute` returns or raises."""
        if self._task is None or self._is_old(self._task):
            self._begun_at = time.monotonic()
            self._task = asyncio.create_task(compute())
        # Somebody who leaves does not take the answer from the others.
        return await asyncio.shield(self._task)

    def _is_old(self, task: asyncio.Task[T]) -> bool:
        return task.done() and time.monotonic() - self._begun_at >= self.seconds
