"""The lab's end of a `server.joining.store`: one file to keep, to fetch or to delete for each connection."""

import asyncio
import struct
from collections.abc import AsyncIterator

import structlog
from obstore.exceptions import BaseError as StoreError
from obstore.store import ObjectStore
from pydantic import ValidationError

from models.database import first_line
from server.joining.protocol import MalformedLineError, line_of, read_line
from server.joining.store import MAX_PIECE_BYTES, Operation, Order, Outcome, Trouble

log = structlog.get_logger()


class CutOffError(Exception):
    """The other end went before the file was complete; nothing of it is kept."""


async def serve(store: ObjectStore, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry out one order. Raises `MalformedLineError`, `CutOffError` and `OSError` where the other end is at fault."""
    try:
        order = Order.model_validate_json(await read_line(reader))
    except ValidationError as error:
        raise MalformedLineError("it is not a request to the store") from error
    try:
        if order.operation is Operation.GET:
            await _send(store, order.key, writer)
            return
        if order.operation is Operation.PUT:
            await store.put_async(order.key, _pieces(reader))
        else:
            await store.delete_async(order.key)
        outcome = Outcome()
    except FileNotFoundError:
        outcome = Outcome(trouble=Trouble.MISSING)
    except (CutOffError, ConnectionError):
        # The worker went.
        raise
    except (StoreError, OSError) as error:
        log.warning("store.refused", key=order.key, reason=first_line(error))
        outcome = Outcome(trouble=Trouble.STORE, message=first_line(error))
    writer.write(line_of(outcome))
    await writer.drain()


async def _send(store: ObjectStore, key: str, writer: asyncio.StreamWriter) -> None:
    found = await store.get_async(key)
    writer.write(line_of(Outcome(size_bytes=found.meta["size"])))
    async for piece in found.stream():
        writer.write(bytes(piece))
        await writer.drain()


async def _pieces(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        try:
            (length,) = struct.unpack("!I", await reader.readexactly(4))
            if length > MAX_PIECE_BYTES:
                raise CutOffError("a piece is too long")
            if not length:
                return
            piece = await reader.readexactly(length)
        except asyncio.IncompleteReadError as error:
            raise CutOffError("the file is not complete") from error
        yield piece
