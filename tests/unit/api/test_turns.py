"""A user who sends many requests waits for their own; the others take turns."""

import asyncio
from collections.abc import Iterable
from contextvars import copy_context

import pytest

from api.http.problems import Busy
from api.limits.turns import THE_LAB, HeavyWork, Turns, asker


class Street:
    """Requests of several users, each of which stays until `gate` opens."""

    def __init__(self, size: int, *, of_one: int) -> None:
        self.turns = Turns(size, of_one=of_one)
        self.served: list[str] = []
        self.gate = asyncio.Event()

    async def send(self, user: str, *, wait_seconds: float = 10.0) -> None:
        asker.set(user)
        async with self.turns.taken(wait_seconds=wait_seconds):
            self.served.append(user)
            await self.gate.wait()
            await asyncio.sleep(0)

    def sent(self, users: Iterable[str]) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(self.send(user), context=copy_context()) for user in users]


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_one_user_takes_a_part_and_leaves_the_rest() -> None:
    street = Street(6, of_one=2)
    tasks = street.sent("a" * 50 + "b")
    await settled()
    assert sorted(street.served) == ["a", "a", "b"]
    street.gate.set()
    await asyncio.gather(*tasks)
    assert len(street.served) == 51


async def test_those_who_wait_are_served_user_by_user() -> None:
    street = Street(1, of_one=1)
    tasks = street.sent("a" * 5 + "b" * 2 + "c")
    await settled()
    street.gate.set()
    await asyncio.gather(*tasks)
    assert street.served.index("b") <= 2
    assert street.served.index("c") <= 3
    assert len(street.served) == 8


async def test_what_the_lab_does_for_all_may_take_everything() -> None:
    street = Street(3, of_one=1)
    tasks = street.sent([THE_LAB] * 3)
    await settled()
    assert len(street.served) == 3
    street.gate.set()
    await asyncio.gather(*tasks)


async def test_who_waits_too_long_hears_that_the_lab_is_busy() -> None:
    street = Street(2, of_one=1)
    first = street.sent("a")
    await settled()
    with pytest.raises(Busy) as refused:
        await street.send("a", wait_seconds=0.01)
    assert refused.value.headers["Retry-After"]
    await settled()
    street.gate.set()
    await asyncio.gather(*first)
    await asyncio.wait_for(street.send("a"), 5)


async def test_those_who_leave_while_they_wait_take_no_turn() -> None:
    street = Street(1, of_one=1)
    first, *others = street.sent("a" * 10)
    await settled()
    for task in others[:-1]:
        task.cancel()
    await settled()
    street.gate.set()
    await asyncio.gather(first, others[-1])
    assert len(street.served) == 2
    await asyncio.wait_for(street.send("b"), 5)


async def test_turn_that_comes_to_who_just_left_goes_to_the_next() -> None:
    turns = Turns(1, of_one=1)
    async with turns.taken(wait_seconds=1):
        leaving = asyncio.create_task(anext(_taking(turns)))
        staying = asyncio.create_task(anext(_taking(turns)))
        await settled()
    leaving.cancel()
    assert await asyncio.wait_for(staying, 5)


async def _taking(turns: Turns):  # type: ignore[no-untyped-def] # a generator for one step
    async with turns.taken(wait_seconds=5):
        yield True


async def test_heavy_work_is_done_one_at_a_time_and_gives_its_result() -> None:
    heavy, running, most = HeavyWork(), 0, 0

    def work(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        running -= 1
        return number * 2

    assert await asyncio.gather(*(heavy.run(work, number) for number in range(20))) == [2 * n for n in range(20)]
    assert most == 1
