"""Every command of the documentation that a lab can answer runs, page by page, from top to bottom."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab import ROOT, Lab, gpulab_command
from tests.shell_blocks import blocks, pages

RUN = {
    page.relative_to(ROOT).as_posix(): [block for block in blocks(page) if block.language == "sh" and not block.reason]
    for page in pages()
}
TOLD = sorted(page for page, found in RUN.items() if found)
BLOCK_SECONDS = 300


@pytest.fixture
def programs(tmp_path: Path) -> str:
    """A PATH whose first folder has this checkout's `gpulab` and `python3`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, command in (("gpulab", gpulab_command()), ("python", [sys.executable]), ("python3", [sys.executable])):
        (folder / name).write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        (folder / name).chmod(0o755)
    # Some pages speak from a checkout.
    (tmp_path / "work" / ".venv").mkdir(parents=True)
    (tmp_path / "work" / ".venv" / "bin").symlink_to(folder)
    return f"{folder}:{os.environ['PATH']}"


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("page", TOLD)
def test_commands_of_a_page_run(page: str, lab: Lab, programs: str, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PATH": programs,
        "PYTHONPATH": str(ROOT),
        "GPULAB_URL": lab.url,
        "GPULAB_TOKEN": lab.token,
        "HOME": str(tmp_path),
    }
    for block in RUN[page]:
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.text],
            cwd=tmp_path / "work",
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=BLOCK_SECONDS,
        )
        assert ran.returncode == 0, f"{page}:{block.line}\n{block.text}\n{ran.stdout[-2000:]}\n{ran.stderr[-2000:]}"


def test_the_first_pages_are_among_them() -> None:
    assert {"docs/start-student.md", "docs/start-instructor.md", "docs/start-operator.md", "docs/cli.md"} <= set(TOLD)
