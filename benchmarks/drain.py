"""A hundred jobs that do nothing, each in its own process, two at a time: from the first call to the last end."""

import json
import time
from datetime import datetime
from typing import Any

from benchmarks.celery_baseline import Baseline, celery_worker
from benchmarks.figures import Figure, median_figure
from benchmarks.labs import running_lab
from benchmarks.load import Connection, request
from tests.lab import Lab, wait_until

ORDER = json.dumps({"experiment": "stopwatch", "tags": ["drain"]}).encode()


def measure(*, quick: bool) -> list[Figure]:
    rounds, jobs = (2, 20) if quick else (5, 100)
    ours: list[float] = []
    celerys: list[float] = []
    with running_lab() as lab, celery_worker(lab.redis.url, tasks_per_child=1) as celery:
        for number in range(rounds):
            ours.append(jobs / drain(lab, jobs))
            if number < 3:
                celerys.append(jobs / drain_celery(celery, jobs))
    other = median_figure("", "", "", "higher", celerys)
    return [
        median_figure(
            "drain",
            f"{jobs} no-op jobs drained by two slots, each in its own process with torch imported",
            "jobs/s",
            "higher",
            ours,
            bar=25,
            aim=50,
            beside={"celery_one_task_a_child_jobs_per_s": other.value},
        )
    ]


def drain(lab: Lab, jobs: int) -> float:
    connection = Connection(lab.port)
    submitting = time.time()
    answers = [connection.call(request("POST", "/v1/jobs", token=lab.token, body=ORDER)) for _ in range(jobs)]
    connection.close()
    ids = [json.loads(answer.body)["id"] for answer in answers]
    pages = wait_until(lambda: finished(lab, ids), timeout_seconds=300, what="the drain")
    assert all(job["state"] == "succeeded" for job in pages), [job["message"] for job in pages]
    return max(datetime.fromisoformat(job["finished_at"]).timestamp() for job in pages) - submitting


def finished(lab: Lab, ids: list[str]) -> list[dict[str, Any]]:
    """The jobs when all have ended. Looked at rarely: the looking is work for the same two cores."""
    time.sleep(0.3)
    page = lab.client.get("/v1/jobs", params={"tag": "drain", "limit": len(ids)}).json()["items"]
    return page if all(job["finished_at"] for job in page) else []


def drain_celery(celery: Baseline, jobs: int) -> float:
    sending = time.time()
    for _ in range(jobs):
        celery.send()
    return max(celery.stamps(jobs)) - sending
