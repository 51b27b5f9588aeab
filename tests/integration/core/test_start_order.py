"""Processes whose database is away when they start wait for it and say so; one-shot tools give up, and say when."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from server.child_process import spawn, stop_process
from server.embedded import EmbeddedPostgres
from tests.lab import ROOT, free_port, wait_until

NOWHERE = "postgresql://gpulab@/gpulab?host=/nowhere"


def environment(folder: Path, database_url: str) -> dict[str, str]:
    return {
        **os.environ,
        "DATABASE_URL": database_url,
        "REDIS_URL": "unix:///nowhere/redis.sock",
        "GPULAB_ARTIFACTS_URL": (folder / "artifacts").as_uri(),
        "GPULAB_NODE": "late",
        "GPULAB_SLOTS": "1",
        **{f"GPULAB_{name}_FOLDER": str(folder / name.lower()) for name in ("RUNS", "DATASETS", "CACHE")},
    }


@contextmanager
def running(
    folder: Path, module: str, database_url: str, *arguments: str
) -> Iterator[tuple[Path, "subprocess.Popen[bytes]"]]:
    log = folder / f"{module}.log"
    with log.open("wb") as file:
        process = spawn(
            [sys.executable, "-m", module, *arguments],
            log=file,
            death_signal=signal.SIGKILL,
            env=environment(folder, database_url),
            cwd=ROOT,
        )
    try:
        yield log, process
    finally:
        stop_process(process, (signal.SIGTERM, 20))


@pytest.mark.parametrize(
    ("process", "said"),
    [("scheduler", "scheduler.database_away"), ("worker", "database.away"), ("api", "listener.disconnected")],
)
def test_service_waits_for_its_database_and_says_so(process: str, said: str, tmp_path: Path) -> None:
    arguments = ("--port", str(free_port())) if process == "api" else ()
    with running(tmp_path, process, NOWHERE, *arguments) as (log, started):
        wait_until(lambda: said in log.read_text(), what="its word")
        # Several tries later it still waits, and has not said it again.
        with pytest.raises(subprocess.TimeoutExpired):
            started.wait(2)
        assert log.read_text().count(said) == 1, log.read_text()


def test_worker_waits_for_the_tables_too(empty_database_url: str, tmp_path: Path) -> None:
    with running(tmp_path, "worker", empty_database_url) as (log, process):
        wait_until(lambda: "python -m migrations" in log.read_text(), what="what to do")
        assert process.poll() is None


def test_scheduler_leads_once_the_server_is_there(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "pg", durable=False)
    with running(tmp_path, "scheduler", server.url) as (log, _):
        wait_until(lambda: "scheduler.database_away" in log.read_text(), what="its word")
        with server:
            wait_until(lambda: "scheduler.leading" in log.read_text(), what="a leader")


def test_one_shot_tool_waits_and_names_its_limit(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "pg", durable=False)
    with running(tmp_path, "migrations", server.url) as (log, process):
        wait_until(lambda: '"limit_seconds":60' in log.read_text(), what="its word")
        with server:
            assert process.wait(60) == 0, log.read_text()
            with psycopg.connect(server.url) as connection:
                assert connection.execute("SELECT count(*) FROM schema_version").fetchone() == (1,)


@pytest.mark.parametrize("process", ["scheduler", "api", "worker", "migrations"])
def test_program_without_its_settings_refuses_in_one_line(process: str, tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    done = subprocess.run(
        [sys.executable, "-m", process], env=env, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "DATABASE_URL" in done.stderr
    assert "Traceback" not in done.stderr
