"""Bytes from one connection to another, both ways, until either ends."""

import asyncio
from contextlib import suppress

from server.joining.protocol import PIECE_BYTES

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def relay(one: Connection, other: Connection) -> None:
    """Returns when either end has closed its connection or broken it; both are closed then. Cancelled, it cuts both."""
    try:
        await asyncio.gather(_pump(one[0], other[1]), _pump(other[0], one[1]))
    except asyncio.CancelledError:
        for _, writer in (one, other):
            writer.transport.abort()
        raise


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with suppress(OSError):
            while piece := await reader.read(PIECE_BYTES):
                writer.write(piece)
                await writer.drain()
    finally:
        # What was written still goes out. The close also ends the pump of the other way.
        writer.close()
