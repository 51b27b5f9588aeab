"""A statement that locks many rows can meet another one that locks them in another order."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from psycopg.errors import DeadlockDetected

T = TypeVar("T")
TRIES = 5


async def despite_deadlocks(execute: Callable[[], Awaitable[T]]) -> T:
    """Execute one statement again where the database ended it as a deadlock: nothing of it was done."""
    for _ in range(TRIES - 1):
        try:
            return await execute()
        except DeadlockDetected:
            continue
    return await execute()
