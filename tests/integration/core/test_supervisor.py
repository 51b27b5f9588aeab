"""The supervisor with a database and a store that are real, and processes that do as they are told."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from obstore.store import LocalStore
from sqlalchemy import Engine, insert, select

from gpulab.run.files import RECORDS_FILE
from gpulab.states import JobState
from models import Artifact, Gpu, Job, JobEvent, MetricChunk
from models.settings import NodeSettings
from models.statements import job_events, leases
from tests.lab import wait_until
from worker.measuring.gpu_overhead import UNKNOWN
from worker.measuring.host_memory import HostBreach
from worker.programs.process import ProgramProcess
from worker.runs import supervisor
from worker.runs.attempt import Attempt, StopReason
from worker.runs.folder import run_folder
from worker.runs.supervisor import Supervisor
from worker.runs.zygote import End, NotStartedError
from worker.shipping.shipper import Shipper

Execute = Callable[..., list[Any]]
GIB = 2**30
GOOD = End(0)
RESULT = b'{"time":2,"type":"result","value":{"total":3}}\n'
METRIC = b'{"time":1,"type":"metric","step":1,"values":{"loss":0.5}}\n'
ARTIFACT = b'{"time":1,"type":"artifact","name":"a.txt","size_bytes":5,"sha256":"%s"}\n' % (b"0" * 64)


class Process:
    """Has written `content`, and has ended as `end` says; null runs until it is stopped or killed."""

    def __init__(self, folder: Path, content: bytes, end: End | None) -> None:
        self.pid = os.getpid()
        self.end = end
        (folder / RECORDS_FILE).write_bytes(content)

    def wait(self, timeout_seconds: float) -> bool:  # noqa: ARG002 - as that of a process
        return self.end is not None

    def stop(self) -> None:
        self.end = self.end or End(-15)

    def kill(self) -> None:
        self.end = self.end or End(-9)


class Outgrown(Process, ProgramProcess):
    """A program that the kernel ended at its limit, faster than anybody looked."""

    end: End | None = None
    outgrown_bytes = 5 * GIB


class Zygote:
    """Starts a `Process`, after it refused as often as it should."""

    def __init__(self) -> None:
        self.content = b""
        self.end: End | None = End(0)
        self.refusals: list[Exception] = []
        self.kind = Process
        self.warmed = 0

    def warm(self) -> None:
        self.warmed += 1

    def start(self, folder: Path, _visible_gpus: str) -> Process:
        if self.refusals:
            raise self.refusals.pop()
        (folder / "artifacts").mkdir()
        (folder / "artifacts" / "a.txt").write_text("words")
        return self.kind(folder, self.content, self.end)


class Node:
    """A supervisor, and what its jobs came to."""

    def __init__(self, engine: Engine, execute: Execute, lease: tuple[UUID, UUID], folder: Path) -> None:
        self.execute = execute
        self.job_id, self.token = lease
        self.zygote = Zygote()
        self.store_folder = folder / "store"
        settings = NodeSettings(
            node="n1",
            runs_folder=folder / "runs",
            datasets_folder=folder,
            cache_folder=folder,
            database_url="postgresql://unused",
            redis_url="redis://unused",
            artifacts_url="file:///unused",
            ship_seconds=0.001,
            store_patience_seconds=60,
            host_memory_bytes=3 * GIB,
        )
        self.settings = settings
        self.sampler: Any = SimpleNamespace(
            watch=lambda _: None,
            unwatch=lambda _: None,
            latest=dict,
            gpu_faults=lambda _: {},
            mig_instances=lambda _: {},
        )
        store = LocalStore(self.store_folder, mkdir=True)
        constants: Any = SimpleNamespace(of=lambda _: UNKNOWN)
        zygote: Any = self.zygote
        self.supervisor = Supervisor(settings, engine, store, zygote, self.sampler, constants)

    def run(self, content: bytes, end: End | None = GOOD) -> Any:
        self.zygote.content, self.zygote.end = content, end
        self.supervisor.run(self.job_id, self.token)
        return self.job()

    def job(self) -> Any:
        columns = (Job.state, Job.cause, Job.message, Job.result, Job.attempt, Job.lost_attempts)
        return SimpleNamespace(**self.execute(select(*columns).where(Job.id == self.job_id))[0])

    def events(self) -> dict[str, str]:
        rows = self.execute(select(JobEvent.type, JobEvent.message).where(JobEvent.job_id == self.job_id))
        return {row["type"]: row["message"] for row in rows}

    def break_store(self) -> None:
        """As a full disk does: nothing can be written any more."""
        (self.store_folder / "jobs").write_text("in the way of a folder")

    def mend_store(self) -> None:
        (self.store_folder / "jobs").unlink()


@pytest.fixture
def node(engine: Engine, execute: Execute, make_lease: Callable[..., Any], tmp_path: Path) -> Node:
    return Node(engine, execute, make_lease(claimed=False), tmp_path)


def test_program_that_the_kernel_ended_at_its_limit_says_so(node: Node) -> None:
    node.zygote.kind = Outgrown
    found = node.run(b"", End(-9))
    assert (found.state, found.cause) == (JobState.FAILED, "out_of_memory")
    assert "it used 5.00 GiB of the machine's memory, and the limit of a job is 3.00 GiB" in found.message


def test_run_with_a_result_succeeds_and_leaves_no_directory(node: Node) -> None:
    job = node.run(METRIC + RESULT)
    assert (job.state, job.result) == (JobState.SUCCEEDED, {"total": 3})
    assert list(node.settings.runs_folder.iterdir()) == []


def test_zygote_that_died_loses_the_attempt_and_is_started_anew_at_once(node: Node) -> None:
    job = node.run(METRIC, End(None))
    assert (job.state, job.lost_attempts) == (JobState.QUEUED, 1)
    assert "zygote" in node.events()["job.lost"]
    assert node.zygote.warmed == 1


def test_run_that_cannot_use_its_gpu_at_all_is_lost_and_the_lab_learns_it(
    node: Node, execute: Execute, make_job: Callable[..., UUID]
) -> None:
    execute(
        insert(Gpu).values(uuid="GPU-1", node="n1", index=0, name="T4", healthy=True, latest={}, memory_total_bytes=GIB)
    )
    node.job_id = make_job()
    grant = leases.grant(node.job_id, node="n1", gpu_uuids=["GPU-1"], reserved_bytes=None, lease_seconds=60)
    node.token = execute(grant)[0]["token"]
    words = "RuntimeError: No CUDA GPUs are available"
    record = {"time": 2, "type": "disturbed", "message": words, "gpus_unusable": True}
    job = node.run(json.dumps(record).encode() + b"\n")
    assert (job.state, job.lost_attempts) == (JobState.QUEUED, 1)
    assert words in node.events()["job.lost"]
    (gpu,) = execute(select(Gpu.healthy, Gpu.reason))
    assert (gpu["healthy"], gpu["reason"]) == (False, f"no program can use it: {words}")


def test_program_that_ends_with_the_status_255_failed_by_itself(node: Node) -> None:
    job = node.run(METRIC, End(255))
    assert (job.state, job.cause) == (JobState.FAILED, "error")
    assert "255" in job.message
    assert node.zygote.warmed == 0


def test_job_that_takes_too_much_of_the_machine_fails_with_what_it_held_and_may_hold(node: Node) -> None:
    node.sampler.watch = lambda watched: watched.on_host_breach(HostBreach(7 * GIB, watched.host_limit_bytes))
    job = node.run(METRIC, None)
    assert (job.state, job.cause, job.lost_attempts) == (JobState.FAILED, "out_of_memory", 0)
    assert "it used 7.00 GiB" in job.message
    assert "the limit of a job is 3.00 GiB" in job.message


def test_disk_that_took_no_records_is_not_the_authors_error(node: Node) -> None:
    job = node.run(METRIC, End(1, "its last record could not be written: No space left on device"))
    assert (job.state, job.lost_attempts) == (JobState.QUEUED, 1)
    assert "No space left on device" in node.events()["job.lost"]


@pytest.mark.parametrize(
    "line",
    [
        b"not json",
        b'{"time":1,"type":"started","versions":{"torch":"\\u0000\\udce9"}}',
        b'{"time":1,"type":"metric","step":1e30,"values":{}}',
        b'{"type":"error","cause":"nobody knows"}',
        b"\xff\0\xfe",
        b'{"time":1,"type":"artifact","name":"/etc/passwd","size_bytes":1,"sha256":"0"}',
    ],
)
def test_broken_record_costs_itself_and_is_shown(node: Node, line: bytes) -> None:
    job = node.run(line + b"\n" + METRIC + RESULT)
    assert job.state == JobState.SUCCEEDED
    assert [row["steps"] for row in node.execute(select(MetricChunk.steps))] == [[1]]
    if b"started" not in line:
        assert "byte 0" in node.events()["job.record_broken"]


def test_error_whose_words_are_no_utf8_ends_the_run_once_with_its_words(node: Node) -> None:
    error = {"time": 1, "type": "error", "cause": "error", "message": "ValueError: caf\udce9\0", "traceback": "\udce9"}
    job = node.run(json.dumps(error).encode() + b"\n", End(1))
    assert (job.state, job.cause, job.attempt) == (JobState.FAILED, "error", 1)
    assert job.message == "ValueError: caf\\udce9\ufffd"


def test_zygote_that_refuses_for_a_while_costs_no_attempt(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "RETRY_SECONDS", 0.01)
    node.zygote.refusals = [NotStartedError("the zygote has ended"), OSError(28, "No space left on device")]
    job = node.run(RESULT)
    assert (job.state, job.attempt, job.lost_attempts) == (JobState.SUCCEEDED, 1, 0)
    assert "the node tries again" in node.events()["job.not_started"]


def test_zygote_that_never_starts_gives_the_job_back_and_counts_no_loss(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "START_SECONDS", -1.0)
    node.zygote.refusals = [NotStartedError("the zygote has ended")]
    job = node.run(RESULT)
    assert (job.state, job.lost_attempts) == (JobState.QUEUED, 0)
    assert "could not be started" in node.events()["job.requeued"]


def test_fault_of_the_worker_loses_the_attempt_at_once(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(node.supervisor, "_watch", fail)
    job = node.run(RESULT)
    assert (job.state, job.lost_attempts) == (JobState.QUEUED, 1)
    assert "a fault of ours" in node.events()["job.lost"]


def test_full_store_is_told_and_waited_for(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr("worker.shipping.shipper.STORE_RETRY_SECONDS", 0.01)
    node.break_store()
    running = Thread(target=node.run, args=[METRIC + ARTIFACT + METRIC + RESULT])
    running.start()
    try:
        wait_until(lambda: "job.files_wait" in node.events(), what="the event")
        steps = [row["steps"] for row in node.execute(select(MetricChunk.steps))]
        assert steps == [[1, 1]], "what needs no store is there"
        assert node.job().state == JobState.RUNNING
        assert [row["job_id"] for row in node.execute(job_events.held_up())] == [node.job_id]
    finally:
        node.mend_store()
        running.join()
    assert "job.files_stored" in node.events()
    assert node.execute(job_events.held_up()) == []
    assert node.job().state == JobState.SUCCEEDED
    assert [row["name"] for row in node.execute(select(Artifact.name))] == ["a.txt"]


@pytest.mark.parametrize("impatient", [False, True])
def test_full_store_ends_with_a_cancel_or_with_patience(
    node: Node, monkeypatch: pytest.MonkeyPatch, impatient: bool
) -> None:
    monkeypatch.setattr(supervisor, "RETRY_SECONDS", 0.01)
    node.break_store()
    if impatient:
        object.__setattr__(node.settings, "store_patience_seconds", 0.0)
    running = Thread(target=node.run, args=[ARTIFACT + RESULT])
    running.start()
    if not impatient:
        wait_until(lambda: "job.files_wait" in node.events(), what="the event")
        node.supervisor.attempts[node.token].stop(StopReason.CANCEL)
    running.join()
    job = node.job()
    assert job.state == (JobState.SUCCEEDED if impatient else JobState.CANCELLED)
    assert "a.txt: not kept" in job.message
    assert "a.txt" in node.events()["job.files_lost"]


@pytest.mark.parametrize("reason", [StopReason.CANCEL, StopReason.REVOKED])
def test_wait_for_the_store_after_a_breach_ends_with_a_cancel_or_with_the_lease(
    node: Node, monkeypatch: pytest.MonkeyPatch, reason: StopReason
) -> None:
    monkeypatch.setattr(supervisor, "RETRY_SECONDS", 0.01)
    object.__setattr__(node.settings, "store_patience_seconds", 20.0)
    node.sampler.watch = lambda watched: watched.on_host_breach(HostBreach(7 * GIB, watched.host_limit_bytes))
    node.break_store()
    running = Thread(target=node.run, args=[ARTIFACT, None])
    running.start()
    wait_until(lambda: "job.files_wait" in node.events(), what="the event")
    node.supervisor.attempts[node.token].stop(reason)
    running.join(10)
    assert not running.is_alive(), "long before its patience ends"
    assert node.job().state == (JobState.FAILED if reason is StopReason.CANCEL else JobState.RUNNING)
    assert list(node.settings.runs_folder.iterdir()) == []


def test_store_is_tried_once_more_after_a_run_that_used_up_its_time(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "RETRY_SECONDS", 0.1)
    monkeypatch.setattr("worker.shipping.shipper.STORE_RETRY_SECONDS", 0.2)
    follow, await_store = node.supervisor._follow, node.supervisor._await_store

    def follow_to_the_end(attempt: Attempt, process: Any, shipper: Shipper) -> None:
        follow(attempt, process, shipper)
        attempt.deadline = time.monotonic()
        attempt.stop(StopReason.TIME_LIMIT)

    def mended(attempt: Attempt, shipper: Shipper) -> None:
        assert shipper.waiting
        node.mend_store()
        await_store(attempt, shipper)

    monkeypatch.setattr(node.supervisor, "_follow", follow_to_the_end)
    monkeypatch.setattr(node.supervisor, "_await_store", mended)
    node.break_store()
    job = node.run(ARTIFACT)
    assert job.cause == "time_limit"
    assert [row["name"] for row in node.execute(select(Artifact.name))] == ["a.txt"]
    assert "job.files_lost" not in node.events()


def test_next_worker_stores_the_files_that_waited(node: Node, make_lease: Callable[..., Any]) -> None:
    job_id, token = make_lease()
    folder = run_folder(node.settings.runs_folder, job_id, 1)
    folder.make()
    node.zygote.content = ARTIFACT + RESULT
    node.zygote.start(folder.path, "")
    node.break_store()
    shipper = node.supervisor._shipper(folder, token, job_id, 1)
    supervisor.ship_all(shipper)
    assert shipper.waiting == ["a.txt"]
    node.mend_store()
    node.supervisor.recover(job_id, token, 1)
    assert [row["name"] for row in node.execute(select(Artifact.name))] == ["a.txt"]
    assert node.execute(select(Job.state).where(Job.id == job_id))[0]["state"] == JobState.SUCCEEDED


def test_attempt_of_a_killed_worker_is_judged_without_one(node: Node, make_lease: Callable[..., Any]) -> None:
    job_id, token = make_lease()
    node.supervisor.recover(job_id, token, 1)
    found = node.execute(select(Job.state, Job.lost_attempts).where(Job.id == job_id))[0]
    assert (found["state"], found["lost_attempts"]) == (JobState.QUEUED, 1)
