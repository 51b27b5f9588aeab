"""What many ask for at once is done once, and nobody gets a result older than their question."""

import asyncio
from uuid import uuid4

import pytest

from api.http.problems import Busy
from api.limits.shared_work import Body, KeptBodies, SharedWork


class Counted:
    """Work that counts its runs and stays until `gate` opens."""

    def __init__(self) -> None:
        self.runs = 0
        self.gate = asyncio.Event()

    async def __call__(self) -> int:
        self.runs += 1
        number = self.runs
        await self.gate.wait()
        return number


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_turn_that_does_not_come_is_the_first_askers_trouble_alone() -> None:
    shared, gate, runs = SharedWork(), asyncio.Event(), []

    async def work() -> str:
        runs.append(len(runs))
        await gate.wait()
        if runs == [0] or runs == [0, 1]:
            raise Busy("your request waited; send fewer at once")
        return "done"

    asking = [asyncio.create_task(shared.after_now("study", work)) for _ in range(3)]
    await settled()
    gate.set()
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(found[0], Busy)
    assert found[1:] == ["done", "done"]


async def test_all_who_ask_at_once_share_one_run() -> None:
    shared, work = SharedWork(), Counted()
    work.gate.set()
    first = await shared.after_now("study", work)
    work.gate.clear()
    asking = [asyncio.create_task(shared.after_now("study", work)) for _ in range(40)]
    await settled()
    work.gate.set()
    found = await asyncio.gather(*asking)
    # The first of them begins at once; those that came while it ran share the next.
    assert first == 1
    assert set(found) <= {2, 3}
    assert work.runs == 3


async def test_who_asks_during_a_run_gets_one_that_begins_later() -> None:
    shared, work = SharedWork(), Counted()
    early = asyncio.create_task(shared.after_now("study", work))
    await settled()
    late = [asyncio.create_task(shared.after_now("study", work)) for _ in range(5)]
    await settled()
    work.gate.set()
    assert await early == 1
    assert set(await asyncio.gather(*late)) == {2}


async def test_who_leaves_does_not_end_what_others_wait_for() -> None:
    shared, work = SharedWork(), Counted()
    leaving = asyncio.create_task(shared.after_now("study", work))
    await settled()
    staying = asyncio.create_task(shared.after_now("study", work))
    await settled()
    leaving.cancel()
    work.gate.set()
    assert await asyncio.wait_for(staying, 5) == 2


async def test_failure_is_everybodys_who_shared_it_and_nobodys_after() -> None:
    shared, fails = SharedWork(), [True]

    async def work() -> str:
        if fails.pop():
            raise ZeroDivisionError
        return "done"

    with pytest.raises(ZeroDivisionError):
        await shared.after_now("study", work)
    fails.append(False)
    assert await shared.after_now("study", work) == "done"


def test_kept_bodies_are_of_one_version_and_bounded() -> None:
    kept, first, second = KeptBodies(max_bytes=10), uuid4(), uuid4()
    kept.keep(first, Body('"1"', b"12345"))
    assert kept.get(first, '"1"') == Body('"1"', b"12345")
    assert kept.get(first, '"2"') is None
    kept.keep(first, Body('"2"', b"1234"))
    kept.keep(second, Body('"1"', b"1234567"))
    assert kept.get(first, '"2"') is None
    assert kept.get(second, '"1"') is not None
    kept.keep(first, Body('"3"', b"x" * 100))
    assert kept.get(first, '"3"') is None
