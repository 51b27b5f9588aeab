"""`gpulab up` as a person would use it: started, stopped, killed, started again."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from gpulab import Client, Job, JobState
from server.embedded import EmbeddedPostgres, EmbeddedRedis
from tests.lab import with_forked_zygotes

ROOT = Path(__file__).parents[2]
QUICK = {
    "GPULAB_LEASE_SECONDS": "4",
    "GPULAB_HEARTBEAT_SECONDS": "0.5",
    "GPULAB_TICK_SECONDS": "0.2",
    "GPULAB_RING_AGAIN_SECONDS": "1",
    # It loads torch once more, and no program runs here.
    "GPULAB_PROGRAM_SPARE": "false",
}
READY_SECONDS = 100.0
LONG = {"dropout": 0.5, "batch_size": 512, "iterations": 20_000}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class Up:
    """One `gpulab up` in its own process."""

    def __init__(
        self, folder: Path, *, settings: Mapping[str, str] | None = None, python: str = sys.executable
    ) -> None:
        self.folder = folder
        self._settings = dict(settings or {})
        self._python = python
        self.url = ""
        self.token_file = Path()
        self.said = ""

    def launch(self, *flags: str, **how: Any) -> "Up":
        clean = {key: value for key, value in os.environ.items() if key not in {"DATABASE_URL", "REDIS_URL"}}
        flags = ("--slots", "1", "--json", *(flags or ("--port", "0")))
        self.process = subprocess.Popen(
            [self._python, "-m", "gpulab", "up", "--data", str(self.folder), *flags],
            cwd=ROOT,
            env=clean | QUICK | self._settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **how,
        )
        return self

    def ready(self, *flags: str, **how: Any) -> "Up":
        self.launch(*flags, **how)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"did not come up: {self.wait()} {self.said}"
        facts = json.loads(line)
        self.url, self.token_file = facts["url"], Path(facts["token_file"])
        return self

    def family(self) -> dict[str, psutil.Process]:
        """The direct children by the name of what they run."""
        found = {}
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.NoSuchProcess):  # it has just ended
                found[_name(child)] = child
        return found

    def descendants(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """The exit status; what was printed is then in `said`."""
        out, err = self.process.communicate(timeout=90)
        self.said = out + err
        return self.process.returncode

    def client(self) -> Client:
        return Client(self.url, token_file=self.token_file, retry_seconds=60)


def _name(process: psutil.Process) -> str:
    """`api` for `python -m api ...`; otherwise the kernel's name, since Redis rewrites its arguments."""
    argv = process.cmdline()
    return argv[argv.index("-m") + 1] if "-m" in argv else process.name()


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    lab = Up(tmp_path / "lab")
    yield lab
    if lab.process.poll() is None:
        lab.end(signal.SIGTERM)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """For the tests that leave it running."""
    lab = Up(tmp_path_factory.mktemp("up") / "lab", settings=with_forked_zygotes({})).ready()
    yield lab
    lab.end(signal.SIGTERM)


def finished(job: Job) -> Job:
    job.wait(timeout=120)
    assert job.state is JobState.SUCCEEDED, f"{job.cause} {job.message}"
    return job


def gone(processes: list[psutil.Process], seconds: float) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    return not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def wait_for_state(job: Job, state: JobState) -> None:
    deadline = time.monotonic() + 60
    while job.refresh(wait_seconds=5).state is not state:
        assert time.monotonic() < deadline, f"still {job.state}: {job.message}"


def end_and_leave_nothing(up: Up, number: signal.Signals, seconds: float) -> None:
    everything = up.descendants()
    assert up.end(number) == (-number if number == signal.SIGKILL else 0)
    assert gone(everything, seconds), [process.cmdline() for process in everything if process.is_running()]


@pytest.mark.timeout(600)
def test_nothing_is_lost_or_left_over_however_a_lab_ends(up: Up) -> None:
    """By Ctrl-C, stopped and killed in the middle of a job, and by a terminal that is closed."""
    up.ready()
    assert up.token_file.stat().st_mode & 0o777 == 0o600
    assert up.folder.stat().st_mode & 0o066 == 0
    with up.client() as client:
        job = finished(client.submit("dropout-linear", {"dropout": 0.5, "method": "closed_form"}))
        names = [artifact.name for artifact in job.artifacts()]
    assert names
    token = up.token_file.read_text()
    end_and_leave_nothing(up, signal.SIGINT, 5)

    up.ready()
    assert up.token_file.read_text() == token
    with up.client() as client:
        again = client.job(job.id)
        assert again.result == job.result
        assert [artifact.name for artifact in again.artifacts()] == names
        long = client.submit("dropout-linear", LONG)
        wait_for_state(long, JobState.RUNNING)
    end_and_leave_nothing(up, signal.SIGTERM, 40)

    up.ready()
    with up.client() as client:
        wait_for_state(client.job(long.id), JobState.RUNNING)
    end_and_leave_nothing(up, signal.SIGKILL, 40)

    up.ready()
    with up.client() as client:
        assert finished(client.job(long.id)).data.attempt >= 1
        finished(client.submit("dropout-linear", {}))
    assert up.end(signal.SIGHUP) == 0


def test_child_that_cannot_live_ends_the_lab_with_the_reason(tmp_path: Path) -> None:
    lab = Up(tmp_path / "lab", settings={"GPULAB_TICK_SECONDS": "soon"}).launch()
    assert lab.wait() == 2
    assert lab.said.startswith("gpulab up: settings refused (GPULAB_TICK_SECONDS: input should be a valid number")
    assert "got 'soon'" in lab.said
    assert not (tmp_path / "lab" / "postgres").exists(), "nothing was started before"


def test_taken_port_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        lab = Up(tmp_path / "lab").launch("--port", str(port))
        assert lab.wait() == 1
    assert lab.said.count("\n") == 1
    assert f"cannot listen on 127.0.0.1 port {port}" in lab.said


def test_folder_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    lab = Up(tmp_path / "file" / "lab").launch()
    assert lab.wait() == 1
    assert lab.said.count("\n") == 1
    assert "cannot be written" in lab.said


def test_servers_of_ones_own_replace_the_embedded_ones(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "pg", durable=False) as postgres, EmbeddedRedis(tmp_path / "redis") as redis:
        own = {"DATABASE_URL": postgres.url, "REDIS_URL": redis.url}
        lab = Up(tmp_path / "lab", settings=with_forked_zygotes(own)).ready()
        assert set(lab.family()) == {"api", "scheduler", "worker"}
        with lab.client() as client:
            finished(client.submit("dropout-linear", {"method": "closed_form"}))
        assert lab.end(signal.SIGTERM) == 0
        assert not (lab.folder / "postgres").exists()
        with psycopg.connect(postgres.url) as connection:
            assert connection.execute("SELECT count(*) FROM jobs").fetchone() == (1,)


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests already run unprivileged")
def test_unprivileged_account_gets_the_same_lab(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    for path in folder.parents:
        if not path.stat().st_mode & 0o001:
            path.chmod(path.stat().st_mode | 0o001)
    account: dict[str, Any] = {"user": "nobody", "group": 65534, "extra_groups": []}
    settings = {
        "PYTHONPATH": os.pathsep.join(
            [str(ROOT), str(Path(psycopg.__file__).parents[1]), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        ),
        "HOME": str(folder),
    }
    python = next(
        (python for python in (sys.executable, "/usr/bin/python3.11") if runs(python, settings, account)), None
    )
    if python is None:
        pytest.skip("no Python 3.11 with the lab's packages that an unprivileged account may run")
    lab = Up(folder / "lab", settings=settings, python=python).ready(**account)
    assert psutil.Process(lab.process.pid).uids().real == 65534
    with lab.client() as client:
        finished(client.submit("dropout-linear", {"method": "closed_form"}))
    assert lab.end(signal.SIGTERM) == 0


def runs(python: str, settings: Mapping[str, str], account: Mapping[str, Any]) -> bool:
    """Whether that account can run that Python with our packages."""
    try:
        tried = subprocess.run([python, "-c", "import api.app, torch"], env=settings, cwd="/", timeout=100, **account)
    except (PermissionError, FileNotFoundError):
        return False
    return tried.returncode == 0


def test_second_lab_on_the_folder_is_refused_and_harms_nothing(running: Up) -> None:
    second = Up(running.folder).launch()
    assert second.wait() == 1
    assert f"another lab is running on {running.folder} (pid {running.process.pid})" in second.said
    with running.client() as client:
        finished(client.submit("dropout-linear", {"method": "closed_form"}))


def test_every_child_that_is_killed_comes_back(running: Up) -> None:
    with running.client() as client:
        for name in ("postgres", "redis-server", "api", "scheduler", "worker"):
            killed = running.family()[name]
            killed.kill()
            deadline = time.monotonic() + 60
            while running.family().get(name, killed).pid == killed.pid:
                assert time.monotonic() < deadline, f"{name} did not come back"
                time.sleep(0.05)
            finished(client.submit("dropout-linear", {"method": "closed_form"}, idempotency_key=name))
    assert running.process.poll() is None
