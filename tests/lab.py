"""A whole lab as real processes on this machine, each part to be started, stopped and killed at will."""

import atexit
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
import psycopg

from server.child_process import spawn, stop_process, tail
from server.embedded import EmbeddedPostgres, EmbeddedRedis
from tests.templates import COMMANDS, Templates

ROOT = Path(__file__).parent.parent
PROBE = ROOT / "tests" / "probe"
"""Installs the experiment `probe`, which misbehaves on order."""
PYTHON_PATH = f"{ROOT}:{PROBE}"
T = TypeVar("T")


def wait_until(look: Callable[[], T], *, timeout_seconds: float = 60.0, what: str = "it") -> T:
    """Poll `look` until it returns something true; fail with what it said last."""
    deadline = time.monotonic() + timeout_seconds
    pause_seconds = 0.02
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {timeout_seconds} s; last seen: {found!r}")
        time.sleep(pause_seconds)
        # Whatever takes long shares the cores with what asks about it.
        pause_seconds = min(pause_seconds * 1.2, 0.1)


def free_port() -> int:
    """A loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def processes_below(folder: Path) -> Iterator[int]:
    """Processes whose working directory is below `folder`: those of runs, where nobody else looks around."""
    root = folder.resolve()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with suppress(OSError):  # gone meanwhile
                if (entry / "cwd").readlink().is_relative_to(root):
                    yield int(entry.name)


class Lab:
    """Postgres, Redis, api, scheduler and one worker below `folder`. Lease times are short, so that rescue is quick."""

    templates: Templates | None = None
    """What its processes are forked from; without, each imports everything anew."""

    def __init__(self, folder: Path, *, settings: Mapping[str, str] | None = None, durable: bool = False) -> None:
        self.folder = folder
        self.postgres = EmbeddedPostgres(folder / "postgres", durable=durable)
        self.redis = EmbeddedRedis(folder / "redis")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._settings = dict(settings or {})
        self._client: httpx.Client | None = None

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": PYTHON_PATH,
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.redis.url,
            "GPULAB_ARTIFACTS_URL": (self.folder / "artifacts").as_uri(),
            "GPULAB_NODE": "node-a",
            "GPULAB_RUNS_FOLDER": str(self.runs),
            "GPULAB_DATASETS_FOLDER": str(self.folder / "datasets"),
            "GPULAB_CACHE_FOLDER": str(self.folder / "cache"),
            "GPULAB_SLOTS": "2",
            # It loads torch once more, beside whatever a test measures.
            "GPULAB_PROGRAM_SPARE": "false",
            "GPULAB_LEASE_SECONDS": "3",
            "GPULAB_HEARTBEAT_SECONDS": "0.5",
            "GPULAB_TICK_SECONDS": "0.2",
            "GPULAB_RING_AGAIN_SECONDS": "1",
            "GPULAB_STOP_GRACE_SECONDS": "5",
            "GPULAB_FAULT_QUIET_SECONDS": "1",
            **self._settings,
        }

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    @property
    def token(self) -> str:
        return (self.folder / "admin.token").read_text().strip()

    @property
    def client(self) -> httpx.Client:
        """An HTTP client with the admin's token."""
        if self._client is None:
            headers = {"Authorization": f"Bearer {self.token}"}
            self._client = httpx.Client(base_url=self.url, headers=headers, timeout=40.0)
        return self._client

    def start(self, *names: str) -> Self:
        """Bring everything up, or only the named parts again."""
        if not names:
            self.start_servers()
        for name in names or ("scheduler", "worker", "api"):
            self.spawn(name)
        self.wait_ready()
        return self

    def start_servers(self) -> None:
        """PostgreSQL with every table and an admin, and Redis."""
        subprocess.run(["cp", "-a", f"{prepared()}/.", self.folder], check=True)
        self.postgres.start()
        self.redis.start()

    def spawn(
        self,
        name: str,
        *,
        module: str | None = None,
        settings: Mapping[str, str] | None = None,
        port: int | None = None,
    ) -> None:
        """Start one process under a name of its own, perhaps with settings of its own; an API on a port of its own."""
        module = module or name
        arguments = ("--host", "127.0.0.1", "--port", str(port or self.port)) if module == "api" else ()
        env = {**self.environment, **(settings or {})}
        with self.log(name).open("ab") as log:
            forked = self.templates and self.templates.start(module, arguments, log=log, env=env)
            self.processes[name] = forked or spawn(
                [sys.executable, "-m", module, *arguments],
                log=log,
                death_signal=signal.SIGKILL,
                env=env,
                cwd=ROOT,
            )

    def wait_ready(self, path: str = "/readyz", *, timeout_seconds: float = 60.0) -> None:
        def ready() -> bool:
            self.check_alive()
            try:
                return asking.get(path).status_code == 200
            except httpx.TransportError:
                return False

        with httpx.Client(base_url=self.url, timeout=5) as asking:
            wait_until(ready, timeout_seconds=timeout_seconds, what=path)

    def check_alive(self) -> None:
        for name, process in self.processes.items():
            assert process.poll() is None, f"{name} ended with {process.returncode}:\n{tail(self.log(name), 40)}"

    def kill(self, name: str) -> None:
        """SIGKILL, as a crash would."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def terminate(self, name: str, grace_seconds: float = 20.0) -> int:
        return stop_process(self.processes.pop(name), (signal.SIGTERM, grace_seconds))

    def stop(self) -> None:
        if self._client is not None:
            self._client.close()
        for process in self.processes.values():
            process.terminate()
        while self.processes:
            _, process = self.processes.popitem()
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()
            process.wait()
        self.redis.stop()
        self.postgres.stop()

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def call(self, module: str, *arguments: str) -> None:
        """Run a process of the lab to its end."""
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == 0, f"{module} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"

    def submit(self, experiment: str, spec: Mapping[str, Any] | None = None, **fields: Any) -> str:
        """Submit a job over HTTP; returns its id."""
        answer = self.client.post("/v1/jobs", json={"experiment": experiment, "spec": spec or {}, **fields})
        assert answer.status_code == 201, answer.text
        identifier: str = answer.json()["id"]
        return identifier

    def job(self, job_id: str) -> dict[str, Any]:
        answer = self.client.get(f"/v1/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def wait_for(self, job_id: str, *states: str, timeout_seconds: float = 60.0) -> dict[str, Any]:
        """The job once it is in one of `states`; fails if it ends in another."""
        final = {"succeeded", "failed", "cancelled"}

        def look() -> dict[str, Any] | None:
            job = self.job(job_id)
            assert job["state"] not in final - set(states), f"ended as {job['state']}: {job['message']}"
            return job if job["state"] in states else None

        found = wait_until(look, timeout_seconds=timeout_seconds, what=f"{states} of job {job_id}")
        assert found is not None
        return found


def gpulab_command() -> list[str]:
    """How a command line begins, in place of `python -m gpulab`. `test_wheel.py` and `test_up.py` run the real one."""
    return Lab.templates.command(COMMANDS) if Lab.templates else [sys.executable, "-m", "gpulab"]


def with_forked_zygotes(env: Mapping[str, str]) -> dict[str, str]:
    """For programs that start workers, in a test that is not about how those load torch."""
    return Lab.templates.with_zygotes(env) if Lab.templates else {**env}


def serve_with_password(postgres: EmbeddedPostgres, password: str, *networks: str) -> None:
    """Let clients of `networks` in by a password, as a server of one's own does; ours knows its socket alone."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"ALTER ROLE gpulab PASSWORD '{password}'")
        with (postgres.data / "pg_hba.conf").open("a", encoding="utf-8") as rules:
            rules.writelines(f"host all all {network} scram-sha-256\n" for network in networks)
        connection.execute("SELECT pg_reload_conf()")


@cache
def prepared() -> Path:
    """A folder with a migrated database and an admin's token. It is made once; each lab begins with a copy."""
    folder = Path(tempfile.mkdtemp(prefix="gpulab-prepared-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    lab = Lab(folder)
    lab.postgres.start()
    try:
        lab.call("migrations")
        lab.call("api.admin", "--token-file", str(folder / "admin.token"))
    finally:
        lab.postgres.stop()
    return folder
