"""A statement that met another one in a deadlock is executed again, and not for ever."""

import pytest
from psycopg.errors import DeadlockDetected, UniqueViolation

from api.sql.deadlocks import TRIES, despite_deadlocks


class Statement:
    """Fails as often as it should, and counts."""

    def __init__(self, failures: int, error: type[Exception] = DeadlockDetected) -> None:
        self.left, self.error, self.executed = failures, error, 0

    async def __call__(self) -> str:
        self.executed += 1
        if self.executed <= self.left:
            raise self.error
        return "done"


async def test_statement_is_executed_until_it_went_through() -> None:
    twice = Statement(failures=1)
    assert await despite_deadlocks(twice) == "done"
    assert twice.executed == 2


@pytest.mark.parametrize(("error", "executed"), [(DeadlockDetected, TRIES), (UniqueViolation, 1)])
async def test_what_does_not_end_and_what_is_no_deadlock_is_raised(error: type[Exception], executed: int) -> None:
    never = Statement(TRIES, error)
    with pytest.raises(error):
        await despite_deadlocks(never)
    assert never.executed == executed
