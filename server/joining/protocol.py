"""What the two ends of a connection say first: one line of JSON each way, then the bytes of what was asked for."""

import asyncio
import socket
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, ValidationError

HELLO_SECONDS = 10.0
SILENT_SECONDS = 15
"""A cut network says nothing: after this long without an answer from the other machine a connection is over."""
PIECE_BYTES = 2**18
"""Also the longest line that is read."""


class Purpose(StrEnum):
    JOIN = "join"
    """Exchange the secret of the join line for a token of the node."""
    CHECK = "check"
    """Say whether the node is still welcome."""
    POSTGRES = "postgres"
    REDIS = "redis"
    STORE = "store"


class Refusal(StrEnum):
    MALFORMED = "malformed"
    VERSION = "version"
    SECRET = "secret"  # noqa: S105 - the name of a reason
    NAME = "name"
    TOKEN = "token"  # noqa: S105 - the name of a reason
    AWAY = "away"
    """The lab cannot say now; the only reason that passes by itself."""


class Hello(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    version: str = Field(max_length=100)
    """Of gpulab on the joining machine."""
    node: str = Field(max_length=200)
    purpose: Purpose
    proof: str = Field(max_length=200)
    """The secret of the join line to join; afterwards the token of the node."""
    clock: float = Field(allow_inf_nan=False)
    """Seconds since 1970 on the joining machine."""


class Answer(BaseModel):
    refusal: Refusal | None = None
    message: str = ""
    """Why it was refused; or a warning."""
    token: str | None = None
    """Of the node that has joined."""
    settings: dict[str, str] = Field(default_factory=dict)
    """What a worker must have as the lab has it, such as `GPULAB_LEASE_SECONDS`."""


class MalformedLineError(Exception):
    """What came is not the line that was expected."""


async def read_line(reader: asyncio.StreamReader) -> bytes:
    """Raises `MalformedLineError`, also where the other end is gone."""
    try:
        return await reader.readuntil(b"\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise MalformedLineError(str(error)) from error


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """Raises `MalformedLineError`."""
    try:
        return Answer.model_validate_json(await read_line(reader))
    except ValidationError as error:
        raise MalformedLineError("this version does not know the answer") from error


def line_of(message: BaseModel) -> bytes:
    return message.model_dump_json().encode() + b"\n"


def notice_cuts(writer: asyncio.StreamWriter) -> None:
    """Have the kernel end a connection whose other machine is silent for `SILENT_SECONDS`."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        (socket.TCP_NODELAY, 1),
        (socket.TCP_KEEPIDLE, SILENT_SECONDS // 3),
        (socket.TCP_KEEPINTVL, SILENT_SECONDS // 3),
        (socket.TCP_KEEPCNT, 2),
        (socket.TCP_USER_TIMEOUT, SILENT_SECONDS * 1000),
    ):
        connection.setsockopt(socket.IPPROTO_TCP, option, value)
