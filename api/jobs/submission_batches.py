"""Orders of jobs on their way into the database: those that come while others are being stored go together.

One statement, one flush to disk and one round trip serve all that wait. A single order does not wait.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import orjson
import psycopg

from api.jobs import statements
from api.limits.turns import THE_LAB, asker
from api.sql.database import Database, Row, TurnTakenError
from gpulab.threads import vital_task

BATCH_SIZE = 100
"""Orders of one statement at most."""


class _Waiting(NamedTuple):
    order: Mapping[str, Any]
    question: Mapping[str, Any] | None
    limited: bool
    stored: asyncio.Future[Row | None]


class SubmissionBatches:
    def __init__(self, database: Database, *, max_queued: int | None) -> None:
        self._database = database
        self._max_queued = max_queued
        self._waiting: list[_Waiting] = []
        self._storing: asyncio.Task[None] | None = None
        self._aside: set[asyncio.Task[None]] = set()
        """Submissions of users who already have one being stored."""

    async def store(self, order: Mapping[str, Any], question: Mapping[str, Any] | None, *, limited: bool) -> Row | None:
        """The row of the new job, once it is committed.

        None where its owner has used the idempotency key before, or has a full queue; `limited` says whether the
        latter can be. `order` has the columns of `jobs.ORDERED`, `actor` and `message`; `question`, about its memory,
        those of `estimates.QUESTION`.
        """
        waiting = _Waiting(order, question, limited, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._storing is None or self._storing.done():
            self._storing = vital_task("submission_batches", self._store_all())
        return await waiting.stored

    async def finish(self) -> None:
        """Return when nothing is being stored."""
        if self._storing is not None:
            await self._storing
        while self._aside:
            await asyncio.wait(self._aside)

    async def _store_all(self) -> None:
        asker.set(THE_LAB)
        while self._waiting:
            batch, self._waiting = self._waiting[:BATCH_SIZE], self._waiting[BATCH_SIZE:]
            await self._store(batch, wait=False)

    def _set_aside(self, batch: Sequence[_Waiting]) -> None:
        """Nobody waits for a user whose large study is being stored: the orders of each go on by themselves."""
        for owner_id in {waiting.order["owner_id"] for waiting in batch}:
            own = [waiting for waiting in batch if waiting.order["owner_id"] == owner_id]
            task = vital_task("submission_batches of one user", self._store_of(owner_id, own))
            self._aside.add(task)
            task.add_done_callback(self._aside.discard)

    async def _store_of(self, owner_id: UUID, batch: Sequence[_Waiting]) -> None:
        asker.set(owner_id)
        await self._store(batch, wait=True)

    async def _store(self, batch: Sequence[_Waiting], *, wait: bool) -> None:
        try:
            rows = await self._rows(batch, wait=wait)
        except TurnTakenError:
            self._set_aside(batch)
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            refused = isinstance(error, psycopg.DatabaseError) and not isinstance(error, psycopg.OperationalError)
            if refused and len(batch) > 1:
                # An order that the database refuses takes no other with it.
                for waiting in batch:
                    await self._store([waiting], wait=wait)
                return
            for waiting in batch:
                if not waiting.stored.done():
                    waiting.stored.set_exception(error)
            return
        found = {row.ordinal: row for row in rows}
        for ordinal, waiting in enumerate(batch):
            if not waiting.stored.done():
                waiting.stored.set_result(found.get(ordinal))

    async def _rows(self, batch: Sequence[_Waiting], *, wait: bool) -> Sequence[Row]:
        orders, questions, max_queued = _orders(batch), _questions(batch), self._max_queued
        database, submit = self._database, statements.submit_many
        owners = sorted({waiting.order["owner_id"] for waiting in batch if waiting.limited})
        if not owners:
            return await database.rows(submit, orders=orders, questions=questions, max_queued=max_queued)
        in_turn = database.rows_in_turn if wait else database.rows_if_free
        return await in_turn(owners, submit, orders=orders, questions=questions, max_queued=max_queued)


def _orders(batch: Sequence[_Waiting]) -> str:
    orders = [{**waiting.order, "ordinal": ordinal} for ordinal, waiting in enumerate(batch)]
    return orjson.dumps(orders, default=_as_hex).decode()


def _questions(batch: Sequence[_Waiting]) -> str:
    asked = {waiting.question["id"]: waiting.question for waiting in batch if waiting.question is not None}
    return orjson.dumps(list(asked.values())).decode()


def _as_hex(value: bytes) -> str:
    """As PostgreSQL reads bytes."""
    return rf"\x{value.hex()}"
