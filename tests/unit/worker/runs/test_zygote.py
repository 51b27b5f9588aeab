"""The warm process: what it says of the ends of jobs, what it leaves of them, and what its own end means."""

import errno
import json
import mmap
import os
import resource
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments.hosting.zygote import Job, Server
from tests.lab import wait_until
from worker.runs import zygote as module
from worker.runs.orphans import MARKER, end_orphans, marked
from worker.runs.zygote import End, JobProcess, NotStartedError, Zygote

SECONDS = 30.0


class Jobs:
    """Starts scripted jobs below a folder whose path is longer than the address of a socket may be."""

    def __init__(self, folder: Path) -> None:
        self.runs = folder / ("runs-" + "x" * 120)
        self.runs.mkdir()
        self.zygote = Zygote(self.runs, preload="tests.fakes.scripted_jobs")
        self.folder = self.runs

    def start(self, **script: Any) -> JobProcess:
        self.folder = self.runs / f"{len(list(self.runs.iterdir()))}"
        self.folder.mkdir()
        (self.folder / "spec.json").write_text(json.dumps(script))
        return self.zygote.start(self.folder, "")

    def end(self, **script: Any) -> End | None:
        job = self.start(**script)
        assert job.wait(SECONDS)
        return job.end


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    made = Jobs(tmp_path)
    yield made
    end_orphans(made.runs)


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    except FileNotFoundError:
        return False


def daemons(folder: Path) -> list[int]:
    wait_until((folder / "daemon").exists)
    return [int(pid) for pid in (folder / "daemon").read_text().split()]


def test_ends_are_told_as_they_were(jobs: Jobs) -> None:
    assert jobs.end() == End(0)
    assert [jobs.end(status=status) for status in (1, 74, 137, 254, 255)] == [End(n) for n in (1, 74, 137, 254, 255)]
    assert jobs.end(signal=signal.SIGKILL) == End(-9)
    assert jobs.end(signal=signal.SIGSEGV) == End(-11)
    assert jobs.end(status=1, words="disk full: caf\udce9") == End(1, "disk full: caf\\udce9")
    running = jobs.start(hang=True)
    assert not running.wait(0)
    assert running.end is None
    running.kill()
    assert running.wait(SECONDS)
    assert running.end == End(-9)


def test_end_of_the_zygote_is_none_of_the_program_and_another_one_follows(jobs: Jobs) -> None:
    running = [jobs.start(hang=True), jobs.start(hang=True, daemon=True)]
    first = jobs.zygote.pid
    os.kill(first, signal.SIGKILL)
    for job in running:
        assert job.wait(SECONDS)
        assert job.end == End(None)
    assert jobs.end(status=255) == End(255)
    assert jobs.zygote.pid != first


def test_daemon_of_a_job_ends_with_it_while_the_daemon_of_another_lives(jobs: Jobs) -> None:
    other = jobs.start(hang=True, daemon=True)
    others = daemons(jobs.folder)
    assert jobs.end(daemon=True) == End(0)
    own = daemons(jobs.folder)
    assert [pid for pid in own if lives(pid)] == []
    assert [pid for pid in others if not lives(pid)] == []
    other.kill()
    assert other.wait(SECONDS)
    assert other.end == End(-9)
    assert [pid for pid in others if lives(pid)] == []


def test_frozen_zygote_is_replaced_and_its_jobs_go_on(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    running = jobs.start(hang=True)
    frozen = jobs.zygote.pid
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(module, "REPORT_SECONDS", 0.2)
    os.kill(frozen, signal.SIGSTOP)
    with pytest.raises(NotStartedError, match="did not answer"):
        jobs.start()
    monkeypatch.setattr(module, "ANSWER_SECONDS", 20.0)
    assert jobs.end() == End(0)
    assert jobs.zygote.pid != frozen
    assert not running.wait(0)
    running.kill()
    assert running.wait(SECONDS)
    assert running.end == End(None), "nobody saw how"
    os.kill(frozen, signal.SIGCONT)
    del running
    wait_until(lambda: not lives(frozen), what="the end of a zygote without jobs")


def test_sockets_of_multiprocessing_lie_with_the_run_whatever_the_length_of_its_path(jobs: Jobs) -> None:
    assert jobs.end(listen=True) == End(0)
    assert (jobs.folder / "heard").read_text().startswith("/proc/")


def test_orphans_are_known_by_their_mark_and_nobody_else_is_ended(jobs: Jobs) -> None:
    running = jobs.start(hang=True, daemon=True)
    wait_until((jobs.folder / "daemon").exists)
    shell = subprocess.Popen(["sleep", "600"], cwd=jobs.folder, start_new_session=True)
    neighbour = subprocess.Popen(["sleep", "600"], env={**os.environ, MARKER: f"{jobs.runs}-2:1"})
    try:
        end_orphans(jobs.runs)
        assert running.wait(SECONDS)
        assert list(marked(f"{jobs.runs}:")) == []
        assert shell.poll() is None
        assert neighbour.poll() is None
    finally:
        for each in (shell, neighbour):
            each.kill()
            each.wait()


@pytest.mark.parametrize("free", [0, 1])
def test_machine_without_free_descriptors_costs_no_running_job(jobs: Jobs, free: int) -> None:
    """None is left for the request's socket, or none for the handle of its process."""
    running = jobs.start(hang=True)
    first = jobs.zygote.pid
    used = {int(each.name) for each in Path(f"/proc/{first}/fd").iterdir()}
    lowest_free = next(number for number in range(len(used) + 1) if number not in used)
    resource.prlimit(first, resource.RLIMIT_NOFILE, (lowest_free + free, lowest_free + free))
    with pytest.raises(NotStartedError, match="the zygote has ended" if free == 0 else "Too many open files"):
        jobs.start()
    assert jobs.end(status=3) == End(3), "of another zygote"
    assert jobs.zygote.pid != first
    assert lives(first)
    running.kill()
    assert running.wait(SECONDS)
    assert running.end == End(-9), "told by the one that had no descriptors"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Server, socket.socket, socket.socket]]:
    """A server in this process, the worker's end of its socket, and the worker's end of the reply to one request."""
    monkeypatch.setattr("experiments.hosting.zygote.children_of", lambda _: set())
    ends = (
        socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET),
        socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET),
    )
    (control, worker), (theirs, reply) = ends
    socket.send_fds(worker, [b"{}"], [theirs.fileno()])
    theirs.close()
    yield Server(control), worker, reply
    for each in (control, worker, reply):
        each.close()


def test_zygote_without_memory_for_another_job_refuses_it(
    asked: tuple[Server, socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr("experiments.hosting.zygote.mmap.mmap", refused)
    server, _, reply = asked
    assert server._take_request()
    assert "Cannot allocate memory" in json.loads(reply.recv(1000))["refused"]


def test_worker_that_reset_the_reply_ends_no_zygote(asked: tuple[Server, socket.socket, socket.socket]) -> None:
    server, _, _ = asked
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    process = subprocess.Popen(["sleep", "600"])
    job = Job(process.pid, os.pidfd_open(process.pid), ours, mmap.mmap(-1, 100))
    server._keep(job)
    theirs.close()  # with the answer unread
    process.kill()
    server._report(job)
    assert not lives(process.pid)
    process.wait()


def test_zygote_that_cannot_be_loaded_says_so(tmp_path: Path) -> None:
    broken = Zygote(tmp_path, preload="no_such_module_at_all")
    for _ in range(2):
        with pytest.raises(NotStartedError, match="the zygote has ended"):
            broken.start(tmp_path, "")
