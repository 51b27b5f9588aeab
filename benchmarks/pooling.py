"""`python -m benchmarks.pooling`: what borrowing a connection costs, by the API's own pool and by psycopg_pool.

Both run the same statement on the same server, in turns within one run. For docs/decisions/0032-a-pool-of-our-own.md.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row
from psycopg_pool import AsyncConnectionPool

from api.limits.turns import asker
from api.sql.pool import Pool
from server.embedded import EmbeddedPostgres

SIZE = 8
TABLE = "CREATE TABLE things AS SELECT n AS id, 'thing ' || n AS name FROM generate_series(1, 1000) n"
QUESTION = "SELECT id, name FROM things WHERE id = %s"
Borrow = Callable[[], Any]


async def main(*, statements: int, rounds: int) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="gpulab-bench-") as name,
        EmbeddedPostgres(Path(name) / "postgres", durable=False) as server,
    ):
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(TABLE)
            connection.execute("ALTER TABLE things ADD PRIMARY KEY (id)")
        await _compare(server.url, statements, rounds)


async def _compare(url: str, statements: int, rounds: int) -> None:
    asker.set("benchmark")
    own = Pool(url, SIZE, of_one=SIZE)
    options = {"autocommit": True, "prepare_threshold": 1, "row_factory": namedtuple_row}
    plain = AsyncConnectionPool(url, min_size=0, max_size=SIZE, open=False, kwargs=options)
    checked = AsyncConnectionPool(
        url, min_size=0, max_size=SIZE, open=False, kwargs=options, check=AsyncConnectionPool.check_connection
    )
    await plain.open()
    await checked.open()
    kinds: dict[str, Borrow] = {
        "our own": own.connection,
        "psycopg_pool": plain.connection,
        "psycopg_pool that checks": checked.connection,
    }
    for how, many in (("one after the other", 1), (f"{2 * SIZE} at once", 2 * SIZE)):
        spent: dict[str, list[float]] = {kind: [] for kind in kinds}
        for _ in range(rounds + 1):
            for kind, borrow in kinds.items():
                spent[kind].append(await _timed(borrow, many, statements // many))
        base = statistics.median(spent["our own"][1:])
        for kind, every in spent.items():
            median = statistics.median(every[1:])
            print(f"{how}: {kind}: {median / statements * 1e6:.0f} us of processor a statement, {median / base:.2f}")
    await own.close()
    await plain.close()
    await checked.close()


async def _timed(borrow: Borrow, many: int, each: int) -> float:
    """Processor time of this process; the server's is the same for all."""
    started = time.process_time()
    await _asked(borrow, many, each)
    return time.process_time() - started


async def _asked(borrow: Borrow, many: int, each: int) -> None:
    async def one() -> None:
        for number in range(each):
            async with borrow() as connection:
                cursor = await connection.execute(QUESTION, [number % 1000], binary=True)
                assert (await cursor.fetchone()) is not None or number % 1000 == 0

    await asyncio.gather(*(one() for _ in range(many)))


if __name__ == "__main__":
    quick = "--quick" in sys.argv[1:]
    asyncio.run(main(statements=400 if quick else 2000, rounds=2 if quick else 5))
