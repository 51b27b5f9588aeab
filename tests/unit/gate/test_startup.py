"""The first message of a connection to PostgreSQL, as the gate reads and changes it."""

import asyncio
import struct
from typing import Any

import pytest

from gate.postgres import ROLE, StartupError, startup_of

VERSION_3 = 196_608
SSL, GSS, CANCEL = 80_877_103, 80_877_104, 80_877_102


class Answers:
    """A writer that keeps what is written."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data


def message(code: int, rest: bytes = b"") -> bytes:
    return struct.pack("!II", len(rest) + 8, code) + rest


def startup(**parameters: str) -> bytes:
    pairs = b"".join(f"{name}\0{value}\0".encode() for name, value in parameters.items())
    return message(VERSION_3, pairs + b"\0")


async def read(data: bytes) -> tuple[bytes, bytes]:
    """What goes on to PostgreSQL, and what the client is answered."""
    reader, writer = asyncio.StreamReader(), Answers()
    reader.feed_data(data)
    reader.feed_eof()
    given: Any = writer
    return await startup_of(reader, given), writer.written


async def test_user_is_replaced_and_the_rest_stays() -> None:
    asked = startup(user="gpulab", database="gpulab", options="-c a=b", application_name="")
    assert await read(asked) == (startup(user=ROLE, database="gpulab", options="-c a=b", application_name=""), b"")


async def test_user_that_is_named_twice_or_not_at_all_is_the_workers() -> None:
    twice = message(VERSION_3, b"user\0gpulab\0user\0postgres\0\0")
    assert (await read(twice))[0] == startup(user=ROLE)
    assert (await read(startup(database="x")))[0] == startup(database="x", user=ROLE)


async def test_replication_is_no_business_of_a_worker() -> None:
    assert (await read(startup(user="x", replication="true")))[0] == startup(user=ROLE)


async def test_encryption_is_declined_and_the_startup_follows() -> None:
    sent, answered = await read(message(SSL) + message(GSS) + startup(user="x"))
    assert (sent, answered) == (startup(user=ROLE), b"NN")


async def test_cancellation_passes_as_it_is() -> None:
    asked = message(CANCEL, struct.pack("!II", 7, 9))
    assert (await read(asked))[0] == asked


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0",
        struct.pack("!I", 4),
        struct.pack("!I", 2**31) + b"x" * 100,
        message(VERSION_3, b"user\0x\0"),
        message(VERSION_3, b"user\0\0"),
        message(VERSION_3, b"\0\0user"),
        message(131_072, b"user\0x\0\0"),
        startup(user="x")[:-3],
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
async def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(StartupError):
        await read(data)
