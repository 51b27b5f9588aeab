"""Notices of submissions go together, and a lost one is no failure."""

import asyncio
from typing import Any, NamedTuple

import psycopg
from structlog.testing import capture_logs

from api.jobs.announcer import Announcer


class Row(NamedTuple):
    id: str
    event_id: int
    version: int
    state: str


class Recorder:
    """Stands where the database does; each batch waits for `gate`."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.gate = asyncio.Event()
        self.away = False

    async def rows(self, _source: object, *, notices: list[str]) -> list[Any]:
        self.batches.append(notices)
        await self.gate.wait()
        if self.away:
            raise psycopg.OperationalError("gone")
        return []


def announced(announcer: Announcer, *numbers: int) -> None:
    for number in numbers:
        announcer.announce(Row("job", number, 1, "queued"))


async def test_notices_that_come_while_one_is_sent_go_together() -> None:
    recorder = Recorder()
    announcer = Announcer(recorder)  # type: ignore[arg-type] # it records
    announced(announcer, 1)
    await asyncio.sleep(0)
    announced(announcer, 2, 3, 4)
    recorder.gate.set()
    await announcer.finish()

    assert recorder.batches == [["job 1 1 queued"], ["job 2 1 queued", "job 3 1 queued", "job 4 1 queued"]]


async def test_lost_notices_are_logged_and_later_ones_sent() -> None:
    recorder = Recorder()
    recorder.away = True
    recorder.gate.set()
    announcer = Announcer(recorder)  # type: ignore[arg-type] # it records
    with capture_logs() as lines:
        announced(announcer, 1)
        await announcer.finish()
        announced(announcer, 2)
        await announcer.finish()

    assert [line["event"] for line in lines] == ["notices.lost", "notices.lost"]
    assert len(recorder.batches) == 2
