"""What a hostile user does to the API: `python -m tests.abusers NAME URL TOKEN` does it for `SECONDS` at most.

An abuser is a function of a client that has the user's token. It prints `READY` once it is at work. `ABUSERS` has all:
the acceptance test of the fair share measures another user beside each.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import httpx

SECONDS = 20.0
"""The test ends it sooner."""
SETTLING_SECONDS = 1.0
READY = "ready"
CONNECTIONS = 40
STUDY_RUNS = 2_000
SEEDS = [1, 2, 3, 4]
LINEAR = {"experiment": "dropout-linear", "spec": {"method": "closed_form"}}
DEEP = b"[" + b",".join([b"[" * 28 + b"1" + b"]" * 28] * 4_000) + b"]"
KEYS = b"{" + b",".join(b'"k%d":1' % number for number in range(18_000)) + b"}"
EMPTY = b"[" + b",".join([b"[]"] * 80_000) + b"]"
WRONG_GRID = {"experiment": "dropout-linear", "grid": {f"f{number}": [1] for number in range(900)}}
Call = Callable[[], Awaitable[Any]]
Abuser = Callable[[httpx.AsyncClient], Awaitable[None]]


async def reads_a_large_study(client: httpx.AsyncClient) -> None:
    """Forty readers of a study of 2,000 runs, whose version changes all the while."""
    rates = [number / 1_000 for number in range(STUDY_RUNS // len(SEEDS))]
    grid = {"experiment": "dropout-linear", "base": {"method": "closed_form"}, "grid": {"dropout": rates}}
    answer = await client.post("/v1/studies", json={**grid, "seeds": SEEDS}, timeout=60)
    study = answer.raise_for_status().json()["id"]
    runs = (await client.get("/v1/jobs", params={"study": study, "limit": 100})).json()["items"]

    async def change() -> None:
        if runs:
            await client.post(f"/v1/jobs/{runs.pop()['id']}/cancel")
        await asyncio.sleep(0.2)

    await _together([lambda: client.get(f"/v1/studies/{study}", timeout=30)] * CONNECTIONS + [change])


async def opens_streams(client: httpx.AsyncClient) -> None:
    """Five hundred streams that nobody reads, while jobs change."""

    async def stream() -> None:
        async with client.stream("GET", "/v1/stream") as answer:
            await asyncio.sleep(SECONDS if answer.status_code == 200 else 1.0)

    await _together([stream] * 500 + [lambda: client.post("/v1/jobs", json=LINEAR)] * 4)


async def holds_requests(client: httpx.AsyncClient) -> None:
    """Three hundred requests held for a job and for a study, while jobs change."""
    job = (await client.post("/v1/jobs", json=LINEAR)).raise_for_status().json()["id"]
    order = {"experiment": "dropout-linear", "base": {"method": "closed_form"}, "grid": {"dropout": [0.1, 0.2]}}
    study = (await client.post("/v1/studies", json=order)).raise_for_status().json()["id"]
    held = [f"/v1/jobs/{job}?wait=30", f"/v1/studies/{study}?wait=30"] * 150
    waiting = [_getting(client, path, pause_seconds=1.0) for path in held]
    await _together([*waiting, lambda: client.post("/v1/jobs", json=LINEAR)])


async def submits_all_the_time(client: httpx.AsyncClient) -> None:
    """Forty at once, each with a spec of its own, which asks for an estimate too."""
    number = iter(range(10**9))

    async def submit() -> None:
        order = {"experiment": "model-memory", "spec": {"batch_size": 1 + next(number) % 4096}}
        await client.post("/v1/jobs", json=order)

    await _together([submit] * CONNECTIONS)


async def reads_long_lists(client: httpx.AsyncClient) -> None:
    """The longest pages that there are, forty at once."""
    paths = ["/v1/jobs?limit=200", "/v1/studies?limit=200", "/v1/experiments", "/v1/jobs?limit=200&text=found-nowhere"]
    await _together([_getting(client, path) for path in paths * (CONNECTIONS // len(paths))])


def post(path: str, body: bytes, *headers: str) -> bytes:
    about = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    return get(path, *about, *headers, method="POST") + body


def get(path: str, *headers: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: lab", "Connection: close", *headers, "", ""]).encode()


def flood(request: Callable[[str], bytes], *, connections: int = 8, held: bool = False) -> Abuser:
    """Send one request again and again. `request` is called with the header that has the token.

    `held` leaves each connection open after the request, as if more was to come.
    """

    async def abuse(client: httpx.AsyncClient) -> None:
        sent = request(f"Authorization: {client.headers['Authorization']}")

        async def send() -> None:
            reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
            try:
                async with asyncio.timeout(SECONDS if held else 1.0):
                    writer.write(sent)
                    await writer.drain()
                    while await reader.read(65_536):
                        pass
            finally:
                writer.close()

        await _together([send] * connections)

    return abuse


ABUSERS: dict[str, Abuser] = {
    "reads a large study": reads_a_large_study,
    "opens streams": opens_streams,
    "holds requests": holds_requests,
    "submits all the time": submits_all_the_time,
    "reads long lists": reads_long_lists,
    "many keys without a token": flood(lambda _: post("/v1/session", KEYS)),
    "many keys": flood(lambda token: post("/v1/jobs", KEYS, token)),
    "empty lists": flood(lambda token: post("/v1/jobs", EMPTY, token)),
    "deep lists": flood(lambda token: post("/v1/jobs", DEEP, token)),
    "large bodies": flood(lambda token: post("/v1/jobs", b" " * 400_000, token)),
    "a grid of wrong fields": flood(lambda token: post("/v1/studies", json.dumps(WRONG_GRID).encode(), token)),
    "a quoted cookie": flood(lambda _: get("/v1/me", 'Cookie: gpulab_session="' + "\\" * 50_000 + '"')),
    "long headers": flood(lambda _: get("/healthz", *(f"a{n}: {'b' * 600}" for n in range(95)))),
    "an endless header": flood(lambda _: b"GET / HTTP/1.1\r\na: " + b"b" * 1_000_000),
    "metrics by invented methods": flood(lambda _: get("/metrics", method="PROPFIND")),
    "metrics": flood(lambda _: get("/metrics")),
    "no token": flood(lambda _: get("/v1/jobs")),
    "a wrong token": flood(lambda _: get("/v1/jobs", "Authorization: Bearer glab_wrong")),
    "pipelined requests": flood(lambda _: b"GET /healthz HTTP/1.1\r\nHost: lab\r\n\r\n" * 5_000),
    "half a request": flood(lambda _: b"GET / HTTP/1.1\r\n", connections=200, held=True),
    "half a body": flood(lambda token: post("/v1/jobs", b" " * 1000, token)[:-1], connections=200, held=True),
}


def _getting(client: httpx.AsyncClient, path: str, *, pause_seconds: float = 0.0) -> Call:
    async def get() -> None:
        answer = await client.get(path, timeout=40)
        await asyncio.sleep(pause_seconds if answer.status_code == 429 else 0)

    return get


async def _together(calls: list[Call]) -> None:
    """Each again and again, all at once."""
    deadline = time.monotonic() + SECONDS

    async def again(call: Call) -> None:
        while time.monotonic() < deadline:
            with suppress(httpx.HTTPError, OSError):
                await call()

    async def settle() -> None:
        await asyncio.sleep(SETTLING_SECONDS)
        sys.stdout.write(READY)
        sys.stdout.flush()

    async with asyncio.TaskGroup() as group:
        for repeated in map(again, calls):
            group.create_task(repeated)
        group.create_task(settle())


async def abuse(name: str, url: str, token: str) -> None:
    limits = httpx.Limits(max_connections=1_000, max_keepalive_connections=1_000)
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, limits=limits, timeout=10) as client:
        await ABUSERS[name](client)


def main() -> None:
    asyncio.run(abuse(*sys.argv[1:4]))


if __name__ == "__main__":
    main()
