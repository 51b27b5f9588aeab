"""Orders that come while others are stored go together, and one that is refused takes no other with it."""

import asyncio
import json
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

from api.jobs.submission_batches import SubmissionBatches
from api.sql.database import TurnTakenError


class Row(NamedTuple):
    ordinal: int
    experiment: str


class Recorder:
    """Stands where the database does: stores what it can, after `gate`."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.questions: list[list[Any]] = []
        self.locked: list[list[str]] = []
        self.gate = asyncio.Event()
        self.failure: psycopg.Error | None = None
        self.busy: str | None = None
        self.free = asyncio.Event()

    async def rows(self, _source: object, *, orders: str, questions: str, max_queued: int) -> list[Row]:
        assert max_queued == 7
        given = json.loads(orders)
        self.batches.append([order["experiment"] for order in given])
        self.questions.append(json.loads(questions))
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        if any(order["experiment"] == "bad" for order in given):
            raise psycopg.DataError("not that")
        return [Row(order["ordinal"], order["experiment"]) for order in reversed(given) if order["experiment"] != "old"]

    async def rows_in_turn(self, user_ids: list[str], source: object, **given: Any) -> list[Row]:
        self.locked.append(user_ids)
        if self.busy in user_ids:
            await self.free.wait()
        return await self.rows(source, **given)

    async def rows_if_free(self, user_ids: list[str], source: object, **given: Any) -> list[Row]:
        self.locked.append(user_ids)
        if self.busy in user_ids:
            raise TurnTakenError
        return await self.rows(source, **given)


def storing(recorder: Recorder, *experiments: str) -> list[asyncio.Task[Any]]:
    made = submission_batches(recorder)
    return [asyncio.create_task(made.store({"experiment": name}, None, limited=False)) for name in experiments]


def submission_batches(recorder: Recorder) -> SubmissionBatches:
    return SubmissionBatches(recorder, max_queued=7)  # type: ignore[arg-type] # it records


async def started(recorder: Recorder, *experiments: str) -> list[asyncio.Task[Any]]:
    tasks = storing(recorder, *experiments)
    async with asyncio.timeout(5):
        while not recorder.batches:  # noqa: ASYNC110 - the recorder tells nobody
            await asyncio.sleep(0)
    return tasks


async def test_each_gets_its_own_row_whatever_the_order_of_the_answer() -> None:
    recorder = Recorder()
    recorder.gate.set()
    stored = await asyncio.gather(*storing(recorder, "a", "old", "c"))
    assert [row and row.experiment for row in stored] == ["a", None, "c"]


async def test_those_that_come_meanwhile_go_together() -> None:
    recorder = Recorder()
    made = submission_batches(recorder)
    first = asyncio.create_task(made.store({"experiment": "a"}, None, limited=False))
    while not recorder.batches:  # noqa: ASYNC110 - the recorder tells nobody
        await asyncio.sleep(0)
    later = [asyncio.create_task(made.store({"experiment": name}, {"id": 7}, limited=False)) for name in "bcd"]
    await asyncio.sleep(0)
    recorder.gate.set()
    await asyncio.gather(first, *later)
    assert recorder.batches == [["a"], ["b", "c", "d"]]
    assert recorder.questions == [[], [{"id": 7}]]


async def test_nobody_waits_for_a_user_of_whom_something_else_is_being_stored() -> None:
    recorder = Recorder()
    recorder.gate.set()
    recorder.busy = "ada"
    made = submission_batches(recorder)

    def store(owner: str) -> asyncio.Task[Any]:
        order = {"experiment": f"of {owner}", "owner_id": owner}
        return asyncio.create_task(made.store(order, None, limited=True))

    alone = store("ada")
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        together = [store("ada"), store("bob"), store("eve")]
        assert [(await task).experiment for task in together[1:]] == ["of bob", "of eve"]
        assert not alone.done()
        assert not together[0].done()
        recorder.free.set()
        await made.finish()
    assert [(await task).experiment for task in (alone, together[0])] == ["of ada"] * 2


async def test_one_that_is_refused_takes_no_other_with_it() -> None:
    recorder = Recorder()
    recorder.gate.set()
    first, refused, last = await asyncio.gather(*storing(recorder, "a", "bad", "c"), return_exceptions=True)
    assert (first.experiment, last.experiment) == ("a", "c")
    assert isinstance(refused, psycopg.DataError)


async def test_where_the_database_is_away_everybody_hears_of_it_and_nothing_is_tried_twice() -> None:
    recorder = Recorder()
    recorder.failure = psycopg.OperationalError("gone")
    recorder.gate.set()
    answers = await asyncio.gather(*storing(recorder, "a", "b"), return_exceptions=True)
    assert all(isinstance(answer, psycopg.OperationalError) for answer in answers)
    assert recorder.batches == [["a", "b"]]


async def test_who_leaves_leaves_the_others() -> None:
    recorder = Recorder()
    left, stays = await started(recorder, "a", "b")
    left.cancel()
    recorder.gate.set()
    assert (await stays).experiment == "b"


async def test_bytes_and_ids_go_as_the_database_reads_them() -> None:
    seen: list[dict[str, Any]] = []

    class Reader(Recorder):
        async def rows(self, _source: object, *, orders: str, questions: str, max_queued: int) -> list[Row]:
            seen.extend(json.loads(orders))
            return await super().rows(_source, orders=orders, questions=questions, max_queued=max_queued)

    order = {"experiment": "a", "request_digest": b"\x00\xff", "owner_id": UUID(int=1)}
    recorder = Reader()
    recorder.gate.set()
    await submission_batches(recorder).store(order, None, limited=False)
    assert seen[0]["request_digest"] == r"\x00ff"
    assert seen[0]["owner_id"] == str(UUID(int=1))


async def test_a_statement_takes_so_many_at_most() -> None:
    recorder, count = Recorder(), 250
    recorder.gate.set()
    await asyncio.gather(*storing(recorder, *["a"] * count))
    assert max(map(len, recorder.batches)) <= 100
    assert sum(map(len, recorder.batches)) == count


async def test_only_owners_with_a_limit_are_taken_one_at_a_time() -> None:
    recorder = Recorder()
    recorder.gate.set()
    made = submission_batches(recorder)
    orders = [("free", False), ("z", True), ("a", True), ("z", True)]
    await asyncio.gather(
        *(made.store({"experiment": "a", "owner_id": owner}, None, limited=limited) for owner, limited in orders)
    )
    await made.store({"experiment": "a", "owner_id": "free"}, None, limited=False)
    assert recorder.locked == [["a", "z"]]
