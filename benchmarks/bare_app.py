"""A bare FastAPI route that inserts one row: the most a submission could be without being a submission."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx
import psycopg
import uvicorn
from fastapi import FastAPI
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel

from tests.lab import free_port, wait_until

TABLE = "CREATE TABLE IF NOT EXISTS bare (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, spec jsonb)"
INSERT = "INSERT INTO bare (name, spec) VALUES (%s, %s) RETURNING id"


class Order(BaseModel):
    experiment: str
    spec: dict[str, Any]


def create() -> FastAPI:
    pool = AsyncConnectionPool(os.environ["DATABASE_URL"], min_size=10, open=False, kwargs={"autocommit": True})

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await pool.open(wait=True)
        yield
        await pool.close()

    app = FastAPI(lifespan=lifespan)

    @app.post("/rows", status_code=201)
    async def insert(order: Order) -> dict[str, int]:
        async with pool.connection() as connection:
            cursor = await connection.execute(INSERT, [order.experiment, Jsonb(order.spec)])
            row = await cursor.fetchone()
        assert row is not None
        return {"id": row[0]}

    return app


@contextmanager
def running(database_url: str) -> Iterator[int]:
    """The port of a server with the app, on the same event loop and HTTP parser as the lab's."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(TABLE)
    port = free_port()
    environment = {**os.environ, "DATABASE_URL": database_url}
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.bare_app", str(port)], env=environment)
    try:
        wait_until(lambda: _answers(port), what="the bare app")
        yield port
    finally:
        process.terminate()
        process.wait(30)


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/docs").status_code == 200
    except httpx.TransportError:
        return False


if __name__ == "__main__":
    uvicorn.run(create(), host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_level="warning")
