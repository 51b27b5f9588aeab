"""From the HTTP call that submits a program to its first line, torch imported, with a spare sandbox and without."""

import json
import time

import httpx

from benchmarks.figures import Figure, median_figure
from benchmarks.labs import running_lab
from benchmarks.load import Connection, request
from tests.lab import Lab

PROGRAM = b"import torch, time\nbegan = time.time()\nfrom gpulab import run\nrun.result({'began': began})\n"
WARMING_SECONDS = 20.0
"""More than a spare takes to load torch; nothing outside shows when it has."""


def measure(*, quick: bool) -> list[Figure]:
    rounds = 2 if quick else 10
    with running_lab(GPULAB_PROGRAM_SPARE="true") as lab:
        program = sent(lab)
        with_spare = []
        for _ in range(rounds):
            time.sleep(WARMING_SECONDS)
            with_spare.append(submitted(lab, program))
    with running_lab(GPULAB_PROGRAM_SPARE="false") as lab:
        program = sent(lab)
        without = [submitted(lab, program) for _ in range(rounds)]
    return [
        median_figure(
            "program_start",
            "HTTP submit call to the first line of a user's program in its sandbox, torch imported",
            "ms",
            "lower",
            [seconds * 1000 for seconds in with_spare],
            bar=150,
            aim=60,
            beside={"without_a_spare_ms": median_figure("", "", "", "lower", without).value * 1000},
        )
    ]


def sent(lab: Lab) -> str:
    """The id of the program."""
    answer = lab.client.post("/v1/programs", files=[("files", ("main.py", PROGRAM, "text/x-python"))])
    assert answer.status_code in {httpx.codes.OK, httpx.codes.CREATED}, answer.text
    found: str = answer.json()["sha256"]
    return found


def submitted(lab: Lab, program: str) -> float:
    """One run; it is waited for to its end."""
    order = {"experiment": "script", "spec": {"program": program, "command": ["python", "main.py"]}, "gpus": 0}
    body = request("POST", "/v1/jobs", token=lab.token, body=json.dumps(order).encode())
    connection = Connection(lab.port)
    sending = time.time()
    answer = connection.call(body)
    connection.close()
    assert answer.status == httpx.codes.CREATED, answer
    result = lab.wait_for(json.loads(answer.body)["id"], "succeeded", timeout_seconds=120)["result"]
    began: float = result["began"]
    return began - sending
