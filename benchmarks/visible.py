"""From a record in the run directory to the same point over the API."""

import json
import time

from benchmarks.figures import Figure, median_figure
from benchmarks.labs import running_lab
from benchmarks.load import Connection, request
from tests.lab import Lab

POLL_SECONDS = 0.01


def measure(*, quick: bool) -> list[Figure]:
    """One run records a point each 53 ms and one client polls for those it has not seen, each 10 ms."""
    records = 40 if quick else 400
    with running_lab() as lab:
        delays = [1000 * delay for delay in follow(lab, records)]
    median = median_figure(
        "visible", "record in the run directory to the point over the API, median", "ms", "lower", delays,
        bar=500, aim=200,
    )  # fmt: skip
    tail = sorted(delays)[int(0.95 * len(delays))]
    median.beside["p95_ms"] = tail
    return [median]


def follow(lab: Lab, records: int) -> list[float]:
    """How long each point took, in seconds. Its own value says when it was recorded."""
    job_id = lab.submit("stopwatch", {"records": records, "gap_seconds": 0.053})
    connection = Connection(lab.port)
    delays: list[float] = []
    deadline = time.monotonic() + 60 + records * 0.1
    while len(delays) < records:
        assert time.monotonic() < deadline, f"{len(delays)} of {records} points were seen"
        after = len(delays) - 1
        answer = connection.call(request("GET", f"/v1/jobs/{job_id}/metrics?after_step={after}", token=lab.token))
        seen = time.time()
        for series in json.loads(answer.body)["series"]:
            delays += [seen - recorded for recorded in series["values"]]
        time.sleep(POLL_SECONDS)
    connection.close()
    return delays
