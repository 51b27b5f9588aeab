"""Plain Celery, prefork, one trivial task: what a job costs where nothing is recorded about it."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from celery import Celery

from server.embedded.redis import broker_url

QUEUE, STAMPS = "baseline", "baseline:stamps"

app = Celery("baseline", broker=broker_url(os.environ.get("REDIS_URL", "")))
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=1, worker_hijack_root_logger=False)


@app.task(name="baseline.stamp")  # type: ignore[untyped-decorator]
def stamp() -> None:
    """Leave the time of day in a list."""
    now = time.time()
    _client(os.environ["REDIS_URL"]).rpush(STAMPS, now)


class Baseline:
    """A running worker of the app."""

    def __init__(self, redis_url: str) -> None:
        self._redis = _client(redis_url)
        self._sender = Celery("baseline-sender", broker=broker_url(redis_url))

    def send(self) -> None:
        self._sender.send_task("baseline.stamp", queue=QUEUE, ignore_result=True)

    def stamps(self, count: int) -> list[float]:
        """Wait for `count` tasks; when each ran."""
        found: list[float] = []
        while len(found) < count:
            popped: Any = self._redis.blpop([STAMPS], timeout=60)
            assert popped is not None, f"only {len(found)} of {count} tasks ran"
            found.append(float(popped[1]))
        return found


@contextmanager
def celery_worker(redis_url: str, *, tasks_per_child: int | None) -> Iterator[Baseline]:
    """Two prefork children, waiting; with `tasks_per_child=1` each task gets its own process."""
    argv = [sys.executable, "-m", "celery", "-A", "benchmarks.celery_baseline", "worker", "--pool", "prefork",
            "--concurrency", "2", "--queues", QUEUE, "--loglevel", "ERROR", "--without-gossip", "--without-mingle",
            "--without-heartbeat"]  # fmt: skip
    argv += ["--max-tasks-per-child", str(tasks_per_child)] if tasks_per_child else []
    environment = {**os.environ, "REDIS_URL": redis_url, "C_FORCE_ROOT": "1"}
    process = subprocess.Popen(argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        baseline = Baseline(redis_url)
        baseline.send()
        baseline.stamps(1)
        yield baseline
    finally:
        process.terminate()
        process.wait(30)


def _client(redis_url: str) -> Any:
    # The client's own time limit is shorter than a wait for a task may be.
    return redis.Redis.from_url(redis_url, socket_timeout=None)
