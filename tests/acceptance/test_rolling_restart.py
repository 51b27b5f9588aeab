"""A lab that takes submissions all along is restarted, one process after the other, in order or killed: no job is lost,
none runs twice.
"""

import itertools
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from signal import SIGTERM
from threading import Event, Thread
from typing import Any, Self

import httpx
import psycopg
import pytest

import gpulab
from tests.lab import Lab, free_port, wait_until
from tests.simulated import doubled

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

STEPS = 40
PAUSE_SECONDS = 0.2
TAG = "rolling"
START_SECONDS = 90.0
"""Of one process, on a machine that is busy with others."""
AHEAD = 4
"""Jobs of one submitter that wait at once."""


class Fleet(Lab):
    """Two of every process: APIs on a port each, schedulers of which one leads, workers of a node each."""

    def __init__(self, folder: Path) -> None:
        # Long enough for a worker to be started anew on a busy machine before its predecessor's leases expire.
        super().__init__(folder, settings={"GPULAB_LEASE_SECONDS": "15", "GPULAB_SLOTS": "2"})
        self.second_port = free_port()

    @property
    def urls(self) -> dict[str, str]:
        return {"api": self.url, "api-2": f"http://127.0.0.1:{self.second_port}"}

    def launch(self, name: str) -> None:
        """Start one of the processes and wait until it does its part."""
        own = {"GPULAB_NODE": "node-b", "GPULAB_RUNS_FOLDER": str(self.folder / "runs-b")} if name == "worker-2" else {}
        port = self.second_port if name == "api-2" else None
        before = self.started_at(name)
        self.spawn(name, module=name.removesuffix("-2"), settings=own, port=port)
        if name in self.urls:
            wait_until(lambda: self.answers(self.urls[name]), timeout_seconds=START_SECONDS, what=f"{name} answers")
        elif "worker" in name:
            wait_until(lambda: self.started_at(name) != before, timeout_seconds=START_SECONDS, what=f"{name} joins")

    def started_at(self, name: str) -> Any:
        node = {"worker": "node-a", "worker-2": "node-b"}.get(name)
        return self.ask("SELECT started_at FROM nodes WHERE name = %s", [node])

    def answers(self, url: str) -> bool:
        try:
            return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def ask(self, query: str, values: list[Any] | None = None) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.postgres.url) as connection:
            return connection.execute(query, values).fetchall()  # type: ignore[arg-type] # written in this file


PROCESSES = ("api", "api-2", "scheduler", "scheduler-2", "worker", "worker-2")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    made = Fleet(tmp_path_factory.mktemp("fleet"))
    try:
        made.start()
        for name in PROCESSES:
            if name not in made.processes:
                made.launch(name)
        yield made
    finally:
        made.stop()


class Stream:
    """People who submit without a pause, one by each API, through the client that everybody uses."""

    def __init__(self, fleet: Fleet, tag: str, folder: Path) -> None:
        self.tag = tag
        self.accepted: list[str] = []
        self.failed: list[Exception] = []
        self._folder = folder
        self._stop = Event()
        self._threads = [Thread(target=self._submit, args=(url, fleet.token)) for url in fleet.urls.values()]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def go_on(self, *, after: str) -> None:
        """Wait for a few more submissions."""
        so_far = len(self.accepted)
        wait_until(lambda: len(self.accepted) > so_far + 2, timeout_seconds=60, what=f"submissions after {after}")

    def _submit(self, url: str, token: str) -> None:
        with gpulab.Client(url, token, retry_seconds=60) as client:
            waiting: deque[gpulab.Job] = deque()
            for number in itertools.count():
                try:
                    spec = {"steps": 2, "alone_in": str(self._folder)}
                    waiting.append(client.submit("probe", spec, name=f"{url}/{number}", tags=[self.tag]))
                    self.accepted.append(str(waiting[-1].id))
                    if len(waiting) > AHEAD:
                        # No faster than this machine gets them done.
                        waiting.popleft().wait(timeout=120)
                except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
                    self.failed.append(error)
                if self._stop.wait(PAUSE_SECONDS):
                    return


def long_jobs(fleet: Fleet, tag: str, folder: Path, gate: Path) -> list[str]:
    """One for each node at least, under way and with a checkpoint, that ends when the gate is opened."""
    spec = {"steps": STEPS, "gate": str(gate), "checkpoint_every": 2, "alone_in": str(folder)}
    gate.write_text("4")
    found = [fleet.submit("probe", spec, tags=[tag]) for _ in range(2)]
    for identifier in found:
        fleet.wait_for(identifier, "running")
    return found


def test_restart_of_everything_under_load(fleet: Fleet, tmp_path: Path) -> None:
    gate, alone = tmp_path / "gate", tmp_path / "alone"
    alone.mkdir()
    long = long_jobs(fleet, TAG, alone, gate)
    with Stream(fleet, TAG, alone) as stream:
        for step, name in enumerate(PROCESSES):
            status = fleet.terminate(name)
            assert status in (0, -SIGTERM), f"{name} ended with {status}"
            fleet.launch(name)
            gate.write_text(str(6 + 2 * step))
            stream.go_on(after=name)
    gate.write_text(str(STEPS))
    assert stream.failed == []
    ids = {*stream.accepted, *long}
    wait_until(lambda: not unfinished(fleet, TAG), timeout_seconds=60, what="every job done")
    assert_done_once(fleet, TAG, ids)
    assert attempts_that_ran(alone) == attempts_by_the_lab(fleet, TAG)
    for identifier in long:
        series = fleet.client.get(f"/v1/jobs/{identifier}/metrics", params={"names": "step"}).json()["series"]
        assert series[0]["steps"] == list(range(1, STEPS + 1))


def test_everything_is_killed_in_turn_under_load(fleet: Fleet, tmp_path: Path) -> None:
    tag, alone = "killed", tmp_path / "alone"
    alone.mkdir()
    with Stream(fleet, tag, alone) as stream:
        for name in PROCESSES:
            # Not at rest: behind every submission so far there is a job under way or just given out.
            stream.go_on(after=name)
            fleet.kill(name)
            fleet.launch(name)
        stream.go_on(after="the last kill")
    assert stream.failed == []
    wait_until(lambda: not unfinished(fleet, tag), timeout_seconds=60, what="every job done")
    assert_done_once(fleet, tag, set(stream.accepted))
    ran, started = attempts_that_ran(alone), attempts_by_the_lab(fleet, tag)
    assert ran.keys() == started.keys()
    for job, attempts in ran.items():
        # A worker may be killed between its claim and the first line of the job.
        assert attempts == sorted(set(attempts)), job
        assert set(attempts) <= set(started[job]), job
        assert attempts[-1] == started[job][-1], job


def unfinished(fleet: Fleet, tag: str) -> list[tuple[Any, ...]]:
    waiting = "SELECT id, state, attempt FROM jobs WHERE %s = ANY (tags) AND finished_at IS NULL"
    return fleet.ask(waiting, [tag])


def assert_done_once(fleet: Fleet, tag: str, ids: set[str]) -> None:
    """Every accepted job is there once and succeeded once, and each of its attempts began after the one before."""
    rows = fleet.ask("SELECT id::text, name, state, message FROM jobs WHERE %s = ANY (tags)", [tag])
    assert {row[0] for row in rows} == ids
    assert [row for row in rows if row[2] != "succeeded"] == []
    assert [name for name, count in Counter(row[1] for row in rows if row[1]).items() if count > 1] == []
    verdicts = fleet.ask(
        "SELECT job_id::text FROM job_events JOIN jobs ON jobs.id = job_id"
        " WHERE %s = ANY (tags) AND to_state = 'succeeded'",
        [tag],
    )
    assert Counter(row[0] for row in verdicts) == Counter(ids)
    with psycopg.connect(fleet.postgres.url) as session:
        assert doubled(session) == []


def attempts_that_ran(alone: Path) -> dict[str, list[int]]:
    """By job, the attempts whose process said that it runs; one that found another of its job would have failed."""
    return {path.name: [int(line) for line in path.read_text().split()] for path in alone.iterdir()}


def attempts_by_the_lab(fleet: Fleet, tag: str) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    query = (
        "SELECT job_id::text, job_events.attempt FROM job_events JOIN jobs ON jobs.id = job_id"
        " WHERE %s = ANY (tags) AND type = 'job.started' ORDER BY job_events.id"
    )
    for job, attempt in fleet.ask(query, [tag]):
        found.setdefault(job, []).append(attempt)
    return found
