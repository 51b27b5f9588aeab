"""`gpulab worker` and `gpulab scheduler` say what is missing before they start anything."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NEEDED = ("DATABASE_URL", "REDIS_URL", "GPULAB_ARTIFACTS_URL")


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name not in NEEDED}
    command = [sys.executable, "-m", "gpulab", *arguments]
    return subprocess.run(command, env=clean | env, cwd=ROOT, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("process", ["worker", "scheduler"])
def test_every_address_that_is_missing_is_named(process: str) -> None:
    ran = run(process, REDIS_URL="redis://central:6379/0")
    assert ran.returncode == 2
    assert ran.stderr.startswith(f"gpulab {process}: set in the environment:\n")
    assert [name for name in NEEDED if name in ran.stderr] == ["DATABASE_URL", "GPULAB_ARTIFACTS_URL"]


def test_token_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    ran = run("worker", "--token-file", str(tmp_path / "none"))
    assert (ran.returncode, "No such file" in ran.stderr) == (2, True)
