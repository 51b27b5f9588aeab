"""Two workers with one name: the one that lives keeps it, a restarted one is admitted at once."""

import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, update

from gpulab.threads import VitalThread
from models import Node
from models.statements import leases, nodes
from tests.integration.core.test_start_order import environment
from tests.lab import ROOT
from worker.identity import worker_id

Execute = Callable[..., list[Any]]
SILENCE = 30.0


def admitted(execute: Execute, worker: str, name: str = "n1") -> bool:
    return bool(execute(nodes.admit(name, worker, silence_seconds=SILENCE)))


def join(execute: Execute, worker: str) -> bool:
    described = {"name": "n1", "slots": 2, "datasets": [], "versions": {}, "gpu_reason": "none", "worker_id": worker}
    return bool(execute(nodes.join(described)))


def beat(execute: Execute, worker: str) -> bool:
    return bool(execute(nodes.beat("n1", silence_seconds=SILENCE, worker_id=worker)))


def age(execute: Execute, seconds: float) -> None:
    execute(update(Node).values(heartbeat_at=func.now() - timedelta(seconds=seconds)))


def test_living_worker_keeps_its_name(execute: Execute) -> None:
    assert admitted(execute, "a")
    assert join(execute, "a")
    assert not admitted(execute, "b")
    assert not join(execute, "b")
    assert beat(execute, "a")


def test_restarted_worker_is_admitted_at_once(execute: Execute) -> None:
    admitted(execute, "a")
    join(execute, "a")
    assert admitted(execute, "a")
    assert join(execute, "a")


def test_name_of_one_that_left_or_is_silent_can_be_taken(execute: Execute, monkeypatch: pytest.MonkeyPatch) -> None:
    admitted(execute, "a")
    join(execute, "a")
    execute(nodes.leave("n1", "b"))
    assert not admitted(execute, "b"), "only its own worker takes a node out"
    execute(nodes.leave("n1", "a"))
    assert admitted(execute, "b")
    assert join(execute, "b")
    assert not beat(execute, "a"), "the first one learns of it"


def test_silence_counts_from_when_the_database_was_there(execute: Execute) -> None:
    admitted(execute, "a")
    join(execute, "a")
    age(execute, 3600)
    started = execute(select(func.now() - func.pg_postmaster_start_time()))[0]
    up_seconds = next(iter(started.values())).total_seconds()
    assert not execute(nodes.admit("n1", "b", silence_seconds=up_seconds + 60))
    assert execute(nodes.admit("n1", "b", silence_seconds=0.001))


def test_reserved_name_shows_no_node_that_could_be_given_work(execute: Execute, engine: Engine) -> None:
    admitted(execute, "a")
    assert execute(nodes.alive(SILENCE)) == []


def test_worker_is_told_apart_from_its_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = worker_id(tmp_path)
    assert worker_id(tmp_path) == first
    monkeypatch.setattr("worker.identity._cards", lambda: ["52:54:00:00:00:02"])
    assert worker_id(tmp_path) != first, "a machine with another network card"
    monkeypatch.undo()
    other = tmp_path / "other"
    other.mkdir()
    assert worker_id(other) != first


def test_second_worker_is_refused_before_it_touches_anything(
    tmp_path: Path, database_url: str, execute: Execute, make_lease: Any
) -> None:
    job, _ = make_lease()
    execute(update(Node).values(worker_id="first:/srv/runs#0"))
    stop = Event()

    def beat_on() -> None:
        while not stop.wait(0.2):
            beat(execute, "first:/srv/runs#0")

    thread = VitalThread("the first worker", beat_on, until=stop)
    thread.start()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "worker"],
            env=environment(tmp_path, database_url) | {"GPULAB_NODE": "n1"},
            cwd=ROOT, capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip
    finally:
        stop.set()
        thread.join()
    assert done.returncode == 2, done.stderr
    assert "first:/srv/runs#0" in done.stderr
    assert "GPULAB_NODE=" in done.stderr
    assert [row["job_id"] for row in execute(leases.claimed_on("n1"))] == [job]
