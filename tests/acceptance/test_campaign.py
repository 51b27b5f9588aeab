"""A campaign of kills: whatever dies, freezes or forgets, every correct job ends well, and never as an error.

The seed is printed; `GPULAB_CAMPAIGN_SEED` chooses another campaign, `GPULAB_CAMPAIGN_FAULTS` makes it longer.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import pytest
import redis

from tests.lab import Lab, processes_below, wait_until
from worker.runs.orphans import marked

FAULTS = int(os.environ.get("GPULAB_CAMPAIGN_FAULTS", "50"))
SEED = int(os.environ.get("GPULAB_CAMPAIGN_SEED", "1"))
STEPS = 5
UNFINISHED = 5
"""Jobs that wait or run while faults go on."""
FINAL = {"succeeded", "failed", "cancelled"}
SETTINGS = {
    "GPULAB_SLOTS": "3",
    # Long enough for a worker to be started anew on a busy machine before its predecessor's leases expire.
    "GPULAB_LEASE_SECONDS": "10",
    # The node did not cause these faults.
    "GPULAB_FLAP_LIMIT": "1000",
    "GPULAB_UNTAKEN_LIMIT": "1000",
    "GPULAB_STOP_GRACE_SECONDS": "2",
}


class Campaign:
    """Faults and jobs in an order that the seed decides."""

    def __init__(self, lab: Lab, folder: Path, seed: int) -> None:
        self.lab = lab
        self.folder = folder
        self.random = random.Random(seed)
        self.jobs: dict[str, int] = {}
        """The step that each may pass."""
        self.cancelled: set[str] = set()
        self.done: Counter[str] = Counter()
        (folder / "alone").mkdir()
        self.faults: dict[Callable[[], object], int] = {
            self.kill_job: 8,
            self.kill_zygote: 4,
            self.kill_worker: 3,
            self.kill_scheduler: 4,
            self.kill_api: 3,
            self.kill_redis: 4,
            self.kill_postgres: 4,
            self.freeze: 8,
            self.flush: 4,
            self.cancel: 8,
        }

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """The lab's answer, once it has one: its API or its database may be the one that was just killed."""

        def answer() -> httpx.Response | None:
            try:
                found = self.lab.client.request(method, path, **more)
            except httpx.TransportError:
                return None
            assert found.status_code != 500, f"{method} {path}: {found.text}"
            return None if found.status_code == 503 else found

        found = wait_until(answer, timeout_seconds=60, what=f"an answer to {method} {path}")
        assert found is not None
        return found

    def submit(self) -> None:
        gate = self.folder / f"gate-{len(self.jobs)}"
        spec = {
            "steps": STEPS,
            "gate": str(gate),
            "alone_in": str(self.folder / "alone"),
            "checkpoint_every": self.random.choice([0, 1, 2]),
            "child": self.random.random() < 0.3,
        }
        key = {"Idempotency-Key": uuid4().hex}
        made = self.ask("POST", "/v1/jobs", json={"experiment": "probe", "spec": spec}, headers=key)
        assert made.status_code in {200, 201}, made.text
        self.jobs[made.json()["id"]] = 0

    def unfinished(self) -> list[str]:
        query = {"state": ["queued", "leased", "running"], "limit": 100}
        return [job["id"] for job in self.ask("GET", "/v1/jobs", params=query).json()["items"]]

    def open_gates(self, jobs: list[str], steps: int) -> None:
        numbers = list(self.jobs)
        for job in jobs:
            self.jobs[job] = min(STEPS, self.jobs[job] + steps)
            gate = self.folder / f"gate-{numbers.index(job)}"
            part = gate.with_suffix(".part")
            part.write_text(str(self.jobs[job]))
            part.replace(gate)

    def run(self, faults: int) -> None:
        for _ in range(faults):
            jobs = self.unfinished()
            for _ in range(UNFINISHED - len(jobs)):
                self.submit()
            self.open_gates(jobs, self.random.choice([0, 1, 1, 2]))
            fault = self.random.choices(list(self.faults), list(self.faults.values()))[0]
            fault()
            self.done[fault.__name__] += 1
            self.check_alone()

    def finish(self) -> dict[str, dict[str, Any]]:
        """Let everything end; returns the jobs."""

        def all_final() -> bool:
            jobs = self.unfinished()
            self.open_gates(jobs, STEPS)
            self.check_alone()
            return not jobs

        wait_until(all_final, timeout_seconds=90, what="the end of every job")
        return {job: self.ask("GET", f"/v1/jobs/{job}").json() for job in self.jobs}

    def check_alone(self) -> None:
        """No job has processes of two attempts at the same time."""
        attempts: dict[str, set[str]] = {}
        for pid in processes_below(self.lab.runs):
            try:
                job, _, attempt = Path(f"/proc/{pid}/cwd").readlink().name.rpartition("-")
            except OSError:
                continue
            attempts.setdefault(job, set()).add(attempt)
        assert {job: found for job, found in attempts.items() if len(found) > 1} == {}

    # The faults.

    def kill_job(self) -> None:
        pids = sorted(processes_below(self.lab.runs))
        if pids:
            self._kill(self.random.choice(pids))

    def kill_zygote(self) -> None:
        ours = set(marked(f"{self.lab.runs.resolve()}:"))
        for pid in ours:
            # A zygote bears the mark first; its jobs inherit it.
            with suppress(psutil.NoSuchProcess):
                if psutil.Process(pid).ppid() not in ours:
                    self._kill(pid)

    def kill_worker(self) -> None:
        self._restart("worker")

    def kill_scheduler(self) -> None:
        self._restart("scheduler")

    def kill_api(self) -> None:
        self._restart("api")

    def kill_redis(self) -> None:
        self.lab.redis.kill()
        self.lab.redis.start()

    def kill_postgres(self) -> None:
        self.lab.postgres.kill()
        self.lab.postgres.start()

    def freeze(self) -> None:
        """Something stands still for longer than a heartbeat, now and then for longer than it may."""
        pids = [process.pid for process in self.lab.processes.values()] + sorted(processes_below(self.lab.runs))[:1]
        pid = self.random.choice(pids)
        until = time.monotonic() + self.random.choice([0.2, 0.6, 1.5])
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            wait_until(lambda: time.monotonic() >= until, what="the end of the freeze")
            os.kill(pid, signal.SIGCONT)

    def flush(self) -> None:
        with redis.Redis.from_url(self.lab.redis.url) as client:
            client.flushall()

    def cancel(self) -> None:
        # Most jobs are to succeed.
        if jobs := self.unfinished()[: 1 if self.random.random() < 0.4 else 0]:
            answer = self.ask("POST", f"/v1/jobs/{jobs[0]}/cancel")
            assert answer.status_code in {202, 409}, answer.text
            self.cancelled.add(jobs[0])

    def _restart(self, name: str) -> None:
        self.lab.kill(name)
        self.lab.spawn(name)

    def _kill(self, pid: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def campaign(tmp_path: Path) -> Iterator[Campaign]:
    print(f"\ncampaign of {FAULTS} faults, GPULAB_CAMPAIGN_SEED={SEED}")  # noqa: T201 - needed to repeat the run
    lab = Lab(tmp_path / "lab", settings=SETTINGS, durable=True)
    (tmp_path / "lab").mkdir()
    try:
        yield Campaign(lab.start(), tmp_path, SEED)
    finally:
        lab.stop()


@pytest.mark.slow
@pytest.mark.timeout(120 + 6 * FAULTS)
def test_every_correct_job_ends_well_whatever_is_killed(campaign: Campaign) -> None:
    campaign.run(FAULTS)
    jobs = campaign.finish()
    for job in jobs.values():
        check(campaign, job)
    ends = Counter(job["state"] for job in jobs.values())
    print(f"{dict(campaign.done)}; {dict(ends)}")  # noqa: T201 - what a campaign was worth
    assert ends["succeeded"], "some jobs are lost too often; not all of them"
    campaign.lab.check_alive()
    wait_until(lambda: not list(processes_below(campaign.lab.runs)), what="no process left over")


def check(campaign: Campaign, job: dict[str, Any]) -> None:
    events = campaign.ask("GET", f"/v1/jobs/{job['id']}/events").json()["items"]
    told = [event["type"] for event in events]
    assert [event["to_state"] for event in events if event["to_state"] in FINAL] == [job["state"]], told
    match job["state"], job["cause"]:
        case "succeeded", _:
            series = campaign.ask("GET", f"/v1/jobs/{job['id']}/metrics", params={"names": "step"}).json()["series"]
            assert series[0]["steps"] == list(range(1, STEPS + 1)), told
            assert job["result"]["total"] == STEPS * (STEPS + 1) // 2
        case "cancelled", _:
            assert job["id"] in campaign.cancelled
        case "failed", "lost":
            assert told.count("job.lost") >= 2, told
        case state, cause:
            raise AssertionError(f"{state}/{cause}: {job['message']}; {told}")
