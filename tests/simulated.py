"""A lab whose machines are those of `tests.nodes`, and what must never be found in its database."""

import signal
import sys
from pathlib import Path
from typing import Any, Self

import psycopg

from server.child_process import spawn
from tests.fakes.nvml import FakeNvml, build_library
from tests.lab import ROOT, Lab, wait_until

COUNT = 20
GPUS = 4
Rows = list[tuple[Any, ...]]


class SimulatedLab(Lab):
    """Everything real but the machines' jobs and drivers."""

    def __init__(self, folder: Path, *, durable: bool = False, scheduler: str = "scheduler", **settings: str) -> None:
        library = build_library(folder)
        own = {
            **FakeNvml(folder, library).env,
            "FAKE_NVML_LIBRARY": str(library),
            # Sixty readings a second of one /proc are work enough.
            "GPULAB_SAMPLE_HZ": "1",
            "GPULAB_SHIP_SECONDS": "0.2",
            "GPULAB_LEASE_SECONDS": "30",
            "GPULAB_HEARTBEAT_SECONDS": "5",
            **settings,
        }
        super().__init__(folder, settings=own, durable=durable)
        self._scheduler = scheduler

    def start_all(self, *, count: int = COUNT, gpus: int = GPUS, seconds: float) -> Self:
        """Start the lab with `count` machines. Every job takes `seconds`."""
        self.start_servers()
        self.spawn("scheduler", module=self._scheduler)
        self.spawn("api")
        numbers = {"--count": count, "--gpus": gpus, "--seconds": seconds, "--folder": self.folder / "nodes"}
        arguments = [str(part) for pair in numbers.items() for part in pair]
        with self.log("nodes").open("ab") as log:
            self.processes["nodes"] = spawn(
                [sys.executable, "-m", "tests.nodes", *arguments],
                log=log, death_signal=signal.SIGTERM, env=self.environment, cwd=ROOT,
            )  # fmt: skip
        self.wait_ready()

        def up() -> int:
            self.check_alive()
            return len([node for node in self.client.get("/v1/nodes").json()["items"] if node["state"] == "up"])

        wait_until(lambda: up() == count, timeout_seconds=90, what="every machine joins")
        return self

    def unfinished(self) -> int:
        with psycopg.connect(self.postgres.url) as session:
            row = session.execute("SELECT count(*) FROM jobs WHERE finished_at IS NULL").fetchone()
        return int(row[0]) if row else 0


DOUBLED = """
SELECT job_id, 'verdicts' AS what FROM job_events WHERE to_state IN ('succeeded', 'failed', 'cancelled')
GROUP BY job_id HAVING count(*) > 1
UNION ALL
SELECT job_id, 'starts' FROM job_events WHERE type = 'job.started' GROUP BY job_id, attempt HAVING count(*) > 1
UNION ALL
SELECT job_id, 'a state left twice' FROM (
    SELECT job_id, from_state, lag(to_state) OVER (PARTITION BY job_id ORDER BY id) AS before
    FROM job_events WHERE to_state IS NOT NULL
) AS moves WHERE from_state IS DISTINCT FROM before
"""
OVERFULL = """
WITH held AS (
    SELECT unnest(gpu_uuids) AS uuid, reserved_bytes, leased.at AS since, coalesce(min(ended.at), 'infinity') AS until
    FROM leases
    JOIN job_events AS leased USING (job_id, attempt)
    LEFT JOIN job_events AS ended ON ended.job_id = leases.job_id AND ended.attempt = leases.attempt
        AND ended.from_state IN ('leased', 'running') AND ended.to_state NOT IN ('leased', 'running')
    WHERE leased.type = 'job.leased'
    GROUP BY leases.job_id, leases.attempt, leased.at
)
SELECT uuid, one.since FROM held AS one JOIN held AS other USING (uuid) JOIN gpus USING (uuid)
WHERE other.since <= one.since AND other.until > one.since
GROUP BY uuid, one.since, memory_total_bytes
HAVING sum(coalesce(other.reserved_bytes, memory_total_bytes)) > memory_total_bytes
"""


def doubled(session: psycopg.Connection[Any]) -> Rows:
    """Jobs with two verdicts, an attempt that started twice, or a state that was left twice."""
    return session.execute(DOUBLED).fetchall()


def overfull(session: psycopg.Connection[Any]) -> Rows:
    """GPUs that at some grant held more than they have; a lease without a number holds the whole of each.

    By the times of events, which are the clock's; those of leases are when their transactions began.
    """
    return session.execute(OVERFULL).fetchall()
