"""`python flood.py PORT CONNECTIONS SECONDS HELD < REQUEST`: send a request again and again; a program of its own."""

import asyncio
import contextlib
import sys
import time


async def main(port: int, connections: int, seconds: float, held: bool) -> int:
    request = sys.stdin.buffer.read()
    end = time.monotonic() + seconds
    sent = 0

    async def repeat() -> None:
        nonlocal sent
        while time.monotonic() < end:
            with contextlib.suppress(OSError, TimeoutError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                try:
                    async with asyncio.timeout(max(0.0, end - time.monotonic()) if held else 1.0):
                        writer.write(request)
                        sent += 1
                        if sent == 1:
                            print("begun", flush=True)  # noqa: T201 - whoever started this reads it
                        await writer.drain()
                        while await reader.read(65_536):
                            pass
                finally:
                    writer.close()

    await asyncio.gather(*(repeat() for _ in range(connections)))
    return 0 if sent else 1


if __name__ == "__main__":
    port, connections, seconds, held = sys.argv[1:]
    sys.exit(asyncio.run(main(int(port), int(connections), float(seconds), held == "1")))
