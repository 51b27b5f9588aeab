"""From the HTTP call that submits a job to the first line of the job's body, torch imported, on an idle lab."""

import json
import subprocess
import sys
import time

from benchmarks.celery_baseline import Baseline, celery_worker
from benchmarks.figures import Figure, median_figure
from benchmarks.labs import running_lab
from benchmarks.load import Connection, request
from tests.lab import Lab

PRINT_TIME = "import torch, time; print(time.time())"
ORDER = json.dumps({"experiment": "stopwatch"}).encode()


def measure(*, quick: bool) -> list[Figure]:
    rounds, jobs_a_round = (2, 3) if quick else (8, 10)
    lab_seconds: list[float] = []
    bare_seconds: list[float] = []
    celery_seconds: list[float] = []
    with running_lab() as lab, celery_worker(lab.redis.url, tasks_per_child=None) as celery:
        interpreter()
        for _ in range(rounds):
            lab_seconds += [submitted(lab) for _ in range(jobs_a_round)]
            celery_seconds += [sent(celery) for _ in range(jobs_a_round)]
            bare_seconds.append(interpreter())
    bare = median_figure("", "", "", "lower", bare_seconds).value
    celery_median = median_figure("", "", "", "lower", celery_seconds).value
    beside = {"bare_interpreter_ms": bare * 1000, "celery_prefork_ms": celery_median * 1000}
    return [
        median_figure(
            "start",
            "HTTP submit call to the first line of the job's body, torch imported",
            "ms",
            "lower",
            [seconds * 1000 for seconds in lab_seconds],
            aim=50,
            beside=beside,
        ),
        median_figure(
            "start_ratio",
            "the same, how many times faster than `python -c 'import torch'`",
            "x",
            "higher",
            [bare / seconds for seconds in lab_seconds],
            bar=25,
        ),
    ]


def submitted(lab: Lab) -> float:
    """One job; it is waited for to its end, so that the next finds the lab idle."""
    order = request("POST", "/v1/jobs", token=lab.token, body=ORDER)
    connection = Connection(lab.port)
    sending = time.time()
    answer = connection.call(order)
    connection.close()
    assert answer.status == 201, answer
    result = lab.wait_for(json.loads(answer.body)["id"], "succeeded")["result"]
    assert result["torch_was_ready"]
    started: float = result["body_started_time"]
    return started - sending


def sent(celery: Baseline) -> float:
    sending = time.time()
    celery.send()
    return celery.stamps(1)[0] - sending


def interpreter() -> float:
    starting = time.time()
    done = subprocess.run([sys.executable, "-c", PRINT_TIME], capture_output=True, text=True, check=True)
    return float(done.stdout) - starting
