"""Three hundred dashboards that poll each two seconds, on this machine's cores, while a run records."""

import asyncio
import random
import time
from dataclasses import dataclass, field

from benchmarks.figures import Figure, median_figure
from benchmarks.labs import running_lab
from benchmarks.load import parse, request
from tests.lab import Lab

POLLERS, PERIOD_SECONDS = 300, 2.0
OLD_JOBS = 60


@dataclass
class Tally:
    milliseconds: list[float] = field(default_factory=list)
    unchanged: int = 0
    errors: int = 0


def measure(*, quick: bool) -> list[Figure]:
    """Each polls its list of 50 jobs and, in turn, the page of a running one, with the ETag it got last."""
    seconds = 6.0 if quick else 30.0
    with running_lab() as lab:
        for _ in range(5 if quick else OLD_JOBS):
            last = lab.submit("stopwatch")
        lab.wait_for(last, "succeeded")
        running = lab.submit("stopwatch", {"records": int(2 * seconds), "gap_seconds": 0.5})
        lab.wait_for(running, "running")
        tally = asyncio.run(poll_all(lab, running, seconds))
        lab.client.post(f"/v1/jobs/{running}/cancel")
    ordered = sorted(tally.milliseconds)
    count = len(ordered)
    p50 = median_figure("", "", "", "lower", ordered)
    beside = {
        "p50_ms": p50.value,
        "p95_ms": ordered[int(0.95 * count)],
        "longest_ms": ordered[-1],
        "requests_per_s": count / seconds,
        "answered_304_percent": 100 * tally.unchanged / count,
    }
    what = "300 dashboards that poll each 2 s with ETags, 99th percentile"
    p99, spread = ordered[int(0.99 * count)], "IQR of the requests"
    errors = float(tally.errors)
    return [
        Figure("polling", what, "ms", "lower", p99, p50.low, p50.high, spread, count, bar=100, aim=30, beside=beside),
        Figure(
            "polling_errors",
            "the same, answers that failed",
            "",
            "lower",
            errors,
            errors,
            errors,
            "total",
            count,
            bar=0,
        ),
    ]


async def poll_all(lab: Lab, job_id: str, seconds: float) -> Tally:
    tally = Tally()
    generator = random.Random(0)
    paths = ("/v1/jobs?limit=50", f"/v1/jobs/{job_id}")
    offsets = [generator.uniform(0, PERIOD_SECONDS) for _ in range(POLLERS)]
    await asyncio.gather(*(poll(lab, paths, offset, seconds, tally) for offset in offsets))
    return tally


async def poll(lab: Lab, paths: tuple[str, ...], offset: float, seconds: float, tally: Tally) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", lab.port)
    token = lab.token
    tags = dict.fromkeys(paths, "")
    due = time.perf_counter() + offset
    for turn in range(int(seconds / PERIOD_SECONDS)):
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        path = paths[turn % len(paths)]
        start = time.perf_counter()
        headers = {"If-None-Match": tags[path]} if tags[path] else {}
        writer.write(request("GET", path, token=token, headers=headers))
        head = await reader.readuntil(b"\r\n\r\n")
        answer = parse(head)
        await reader.readexactly(int(answer.headers.get("content-length", 0)))
        tally.milliseconds.append(1000 * (time.perf_counter() - start))
        tally.errors += answer.status not in {200, 304}
        tally.unchanged += answer.status == 304
        tags[path] = answer.headers.get("etag", "")
        due += PERIOD_SECONDS
    writer.close()
