"""Three hundred followers of the stream of all jobs, on this machine's cores: from a change to each one's notice."""

import re
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import psycopg

from benchmarks.figures import Figure, median_figure
from benchmarks.labs import running_lab
from benchmarks.load import request
from tests.lab import Lab, wait_until

FOLLOWERS = 300
GAP_SECONDS = 0.25
HEARD = re.compile(rb'"job_id":"([0-9a-f-]{36})"')
CHANGE = """
    WITH made AS (
        INSERT INTO jobs (owner_id, experiment, spec, seed, tags, priority, time_limit_seconds, gpus, exclusive,
                          datasets, state)
        SELECT id, 'stopwatch', '{}', 0, '{}', 'low', 60, 0, false, '{}', 'queued' FROM users LIMIT 1
        RETURNING id, version, state
    ), event AS (
        INSERT INTO job_events (job_id, type, to_state, attempt, actor, message)
        SELECT id, 'job.submitted', state, 0, 'benchmark', '' FROM made RETURNING id
    )
    SELECT made.id, pg_notify('gpulab_jobs', concat_ws(' ', made.id, event.id, version, state)) FROM made, event
"""


class Followers:
    """Keep-alive connections that read the stream, and when each heard of which job."""

    def __init__(self, lab: Lab) -> None:
        self.heard: list[dict[UUID, float]] = [{} for _ in range(FOLLOWERS)]
        self._rest = [b""] * FOLLOWERS
        self._selector = selectors.DefaultSelector()
        self._stopped = False
        asking = request("GET", "/v1/stream", token=lab.token)
        for number in range(FOLLOWERS):
            connection = socket.create_connection(("127.0.0.1", lab.port))
            connection.sendall(asking)
            self._selector.register(connection, selectors.EVENT_READ, number)
        self._thread = threading.Thread(target=self._read)

    @contextmanager
    def reading(self) -> Iterator[None]:
        self._thread.start()
        try:
            wait_until(lambda: all(b"ready" in rest for rest in self._rest), what="300 streams")
            yield
        finally:
            self._stopped = True
            self._thread.join()
            for key in list(self._selector.get_map().values()):
                key.fileobj.close()  # type: ignore[union-attr] # they are sockets
            self._selector.close()

    def _read(self) -> None:
        while not self._stopped:
            for key, _ in self._selector.select(timeout=0.2):
                data: bytes = key.fileobj.recv(1 << 16)  # type: ignore[union-attr] # they are sockets
                now = time.perf_counter()
                if not data:
                    self._selector.unregister(key.fileobj)
                    continue
                text = self._rest[key.data] + data
                end = 0
                for found in HEARD.finditer(text):
                    self.heard[key.data].setdefault(UUID(found[1].decode()), now)
                    end = found.end()
                self._rest[key.data] = text[max(end, len(text) - 200) :]


def measure(*, quick: bool) -> list[Figure]:
    """From the moment before the statement that commits the change is sent to its arrival at each follower."""
    changes = 8 if quick else 120
    # All of them have the same token, of a user who may have fewer streams open.
    with running_lab(GPULAB_OPEN_PER_USER=str(FOLLOWERS + 10)) as lab:
        lab.client.post("/v1/nodes/node-a/drain", json={"reason": "benchmark"}).raise_for_status()
        followers = Followers(lab)
        with followers.reading():
            made = change(lab, changes)
            late = time.monotonic() + 15
            while any(len(made.keys() - heard.keys()) for heard in followers.heard) and time.monotonic() < late:
                time.sleep(0.05)
    took = sorted(
        1000 * (heard[job_id] - then) for heard in followers.heard for job_id, then in made.items() if job_id in heard
    )
    lost = float(FOLLOWERS * changes - len(took))
    p50, p99 = median_figure("", "", "", "lower", took), took[int(0.99 * len(took))]
    what = "300 followers of the event stream, four changes a second: from a change to a notice, 99th percentile"
    beside = {"p50_ms": p50.value, "longest_ms": took[-1], "changes": changes}
    spread, count = "IQR of the notices", len(took)
    return [
        Figure("following", what, "ms", "lower", p99, p50.low, p50.high, spread, count, bar=100, aim=50, beside=beside),
        Figure(
            "following_lost",
            "the same, notices lost",
            "",
            "lower",
            lost,
            lost,
            lost,
            "total",
            FOLLOWERS * changes,
            bar=0,
        ),
    ]


def change(lab: Lab, count: int) -> dict[UUID, float]:
    """Commit `count` changes, one each quarter of a second. Returns the time at which each began, by job."""
    made: dict[UUID, float] = {}
    with psycopg.connect(lab.postgres.url, autocommit=True) as connection:
        for _ in range(count):
            time.sleep(GAP_SECONDS)
            begun = time.perf_counter()
            row = connection.execute(CHANGE).fetchone()
            assert row is not None
            made[row[0]] = begun
    return made
