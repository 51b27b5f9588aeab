"""The processor time of one request, though many take turns on one thread."""

import time
import types
from collections.abc import Callable, Coroutine, Generator
from contextvars import ContextVar
from typing import Any, TypeVar

T = TypeVar("T")


class Meter:
    def __init__(self) -> None:
        self.seconds = 0.0

    def counting(self, compute: Callable[..., T], *given: object) -> T:
        """What `compute` returns, called in a separate thread."""
        started = time.thread_time()
        try:
            return compute(*given)
        finally:
            self.seconds += time.thread_time() - started

    @types.coroutine
    def run(self, coroutine: Coroutine[Any, Any, None]) -> Generator[Any, Any, None]:
        """Await `coroutine`, counting the time of each of its steps between two waits."""
        value: Any = None
        raised: BaseException | None = None
        while True:
            started = time.thread_time()
            try:
                waits_for = coroutine.send(value) if raised is None else coroutine.throw(raised)
            except StopIteration:
                return
            finally:
                self.seconds += time.thread_time() - started
            value = raised = None
            try:
                value = yield waits_for
            except BaseException as error:  # noqa: BLE001 - passed on
                raised = error


meter: ContextVar[Meter] = ContextVar("meter")
"""Of the request that is being served."""
