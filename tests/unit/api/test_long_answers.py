"""Long answers: how much of them waits in memory for readers that take their time."""

import asyncio
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from starlette.types import Message, Scope

from api.http.long_answers import PIECE_BYTES, Unread, Whole
from api.http.problems import TooManyRequests

LONG = bytes(range(256)) * 1024
LIMIT_BYTES = 3 * len(LONG)


class Reader:
    """Takes nothing before `reads`."""

    def __init__(self, app: FastAPI, user: UUID | None, method: str = "GET") -> None:
        state = {} if user is None else {"principal": SimpleNamespace(id=user)}
        self.scope: Scope = {"type": "http", "app": app, "state": state, "method": method, "client": ("192.0.2.1", 1)}
        self.messages: list[Message] = []
        self.reads = asyncio.Event()

    async def send(self, message: Message) -> None:
        self.messages.append(message)
        if message["type"] == "http.response.body":
            await self.reads.wait()

    async def get(self, body: bytes = LONG) -> bytes:
        await Whole(body, media_type="text/plain")(self.scope, _nothing, self.send)
        return b"".join(message["body"] for message in self.messages[1:])


async def _nothing() -> Message:
    raise AssertionError


@pytest.fixture
def app() -> FastAPI:
    made = FastAPI()
    made.state.app = SimpleNamespace(unread=Unread(LIMIT_BYTES))
    return made


async def _begun(app: FastAPI, user: UUID | None, number: int) -> list[tuple[Reader, asyncio.Task[Any]]]:
    readers = [Reader(app, user) for _ in range(number)]
    begun = [(reader, asyncio.create_task(reader.get())) for reader in readers]
    await asyncio.sleep(0)
    return begun


async def test_server_is_given_a_piece_at_a_time(app: FastAPI) -> None:
    [(reader, task)] = await _begun(app, uuid4(), 1)
    assert [len(message["body"]) for message in reader.messages[1:]] == [PIECE_BYTES]
    reader.reads.set()
    assert await task == LONG
    assert all(len(message["body"]) <= PIECE_BYTES for message in reader.messages[1:])
    assert [message["more_body"] for message in reader.messages[1:]] == [True] * 3 + [False]
    assert dict(reader.messages[0]["headers"])[b"content-length"] == str(len(LONG)).encode()


@pytest.mark.parametrize("user", [uuid4(), None])
async def test_who_reads_nothing_gets_nothing_more_and_others_do(app: FastAPI, user: UUID | None) -> None:
    begun = await _begun(app, user, 3)
    with pytest.raises(TooManyRequests, match=f"{LIMIT_BYTES} bytes"):
        await Reader(app, user).get()
    [(other, others)] = await _begun(app, uuid4(), 1)
    other.reads.set()
    assert await others == LONG
    for reader, task in begun:
        reader.reads.set()
        assert await task == LONG
    [(reader, task)] = await _begun(app, user, 1)
    reader.reads.set()
    assert await task == LONG


async def test_readers_that_leave_make_room(app: FastAPI) -> None:
    user = uuid4()
    for _, task in await _begun(app, user, 3):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    app.state.app.unread.check(str(user), LIMIT_BYTES)


async def test_answer_longer_than_the_limit_comes_alone(app: FastAPI) -> None:
    reader = Reader(app, uuid4())
    reader.reads.set()
    assert await reader.get(LONG * 4) == LONG * 4


async def test_change_that_was_made_is_told_whatever_waits(app: FastAPI) -> None:
    user = uuid4()
    begun = await _begun(app, user, 3)
    changed = Reader(app, user, "POST")
    changed.reads.set()
    assert await changed.get() == LONG
    for _, task in begun:
        task.cancel()
