"""What a hostile user does to the API: `python -m tests.abusers NAME URL TOKEN` does it, for `SECONDS` at most.

Each abuser is a function of a client that has the user's token. It says `ready` on a line once it is at work. To add
one, write the function and put it into `ABUSERS`: the acceptance test of the fair share measures Bob beside each.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import httpx

SECONDS = 20.0
"""At most; the test ends it sooner."""
AT_ONCE = 40
STUDY_RUNS = 2_000
SEEDS = [1, 2, 3, 4]
LINEAR = {"experiment": "dropout-linear", "spec": {"method": "closed_form"}}
Call = Callable[[], Awaitable[Any]]


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

    await _together([lambda: client.get(f"/v1/studies/{study}", timeout=30)] * AT_ONCE + [change])


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

    await _together([submit] * AT_ONCE)


async def reads_long_lists(client: httpx.AsyncClient) -> None:
    """The longest pages that there are, forty at once."""
    paths = ["/v1/jobs?limit=200", "/v1/studies?limit=200", "/v1/experiments", "/v1/jobs?limit=200&text=found-nowhere"]
    await _together([_getting(client, path) for path in paths * (AT_ONCE // len(paths))])


ABUSERS = {
    abuser.__name__: abuser
    for abuser in (reads_a_large_study, opens_streams, holds_requests, submits_all_the_time, reads_long_lists)
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
            with suppress(httpx.HTTPError):
                await call()

    tasks = [asyncio.create_task(again(call)) for call in calls]
    await asyncio.sleep(1.0)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.wait(tasks, timeout=SECONDS)


async def main(name: str, url: str, token: str) -> None:
    limits = httpx.Limits(max_connections=1_000, max_keepalive_connections=1_000)
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, limits=limits, timeout=10) as client:
        await ABUSERS[name](client)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
