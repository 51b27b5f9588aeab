"""Submissions accepted over HTTP, committed to disk, by eight clients, beside a bare route that inserts one row."""

import json

from benchmarks import bare_app
from benchmarks.figures import Figure, median_figure
from benchmarks.labs import running_lab
from benchmarks.load import request, requests_per_second

CLIENTS = 8
ORDER = json.dumps({"experiment": "stopwatch", "spec": {"records": 0}}).encode()


def measure(*, quick: bool) -> list[Figure]:
    """The lab is whole, with its scheduler planning; its node is drained, so that no job competes for the cores."""
    rounds, seconds = (2, 1.0) if quick else (7, 4.0)
    ours: list[float] = []
    bare: list[float] = []
    with running_lab() as lab, bare_app.running(lab.postgres.url) as bare_port:
        lab.client.post("/v1/nodes/node-a/drain", json={"reason": "benchmark"}).raise_for_status()
        submit = request("POST", "/v1/jobs", token=lab.token, body=ORDER)
        insert = request("POST", "/rows", body=ORDER)
        for port, sent in ((lab.port, submit), (bare_port, insert)):
            requests_per_second(port, sent, clients=CLIENTS, seconds=0.5, status=201)
        for _ in range(rounds):
            ours.append(requests_per_second(lab.port, submit, clients=CLIENTS, seconds=seconds, status=201))
            bare.append(requests_per_second(bare_port, insert, clients=CLIENTS, seconds=seconds, status=201))
    baseline = median_figure("", "", "", "higher", bare).value
    ratios = [one / other for one, other in zip(ours, bare, strict=True)]
    return [
        median_figure(
            "submissions_ratio",
            "durable submissions over HTTP by 8 clients, as a share of a bare FastAPI route that inserts one row",
            "x",
            "higher",
            ratios,
            bar=0.5,
        ),
        median_figure(
            "submissions",
            "the same, a second",
            "/s",
            "higher",
            ours,
            aim=1000,
            beside={"bare_route_per_s": baseline},
        ),
    ]
