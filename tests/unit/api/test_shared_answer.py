"""An answer is given again for a while; a failure is not."""

import pytest

from api.limits.shared_answer import SharedAnswer


async def test_a_failure_is_not_kept() -> None:
    shared: SharedAnswer[int] = SharedAnswer(300.0)
    outcomes: list[int | Exception] = [ConnectionError("away"), 1, 2]

    async def compute() -> int:
        match outcomes.pop(0):
            case Exception() as error:
                raise error
            case number:
                return number

    with pytest.raises(ConnectionError):
        await shared.get(compute)
    assert [await shared.get(compute), await shared.get(compute)] == [1, 1]
