"""`gpulab run --dry-run`: a program's memory before it runs. No job is queued."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, update
from structlog.testing import capture_logs

import gpulab
from api.__main__ import Server
from gpulab.cli import main
from gpulab.schemas import EstimateRead
from models import Estimate, Job
from models.tables.program import ProgramUpload
from tests.integration.api.seeds import SeededUser, Seeds
from tests.integration.api.test_program_estimates import answered, asked, lab

__all__ = ["lab"]

QUICK = "api.jobs.service.DRY_RUN_WAIT_SECONDS"


class Terminal:
    """`gpulab run` in a folder with one script. A worker that answers questions is played by `answer`."""

    def __init__(self, url: str, token: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.script = folder / "train.py"
        self.script.write_text("print(1)\n")
        file = folder / "token"
        file.write_text(token)
        self._common = ["--url", url, "--token-file", str(file)]

    async def __call__(self, *words: str, code: int = 0) -> tuple[str, str]:
        found = await asyncio.to_thread(main, ["run", *self._common, *words])
        out, err = self._capsys.readouterr()
        assert found == code, err or out
        return out, err


@pytest.fixture
def terminal(
    server: tuple[Server, str],
    admin: SeededUser,
    lab: Seeds,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Terminal:
    monkeypatch.setattr(QUICK, 0.0)
    return Terminal(server[1], admin.token, tmp_path, capsys)


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    with capture_logs():
        yield


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[UUID]:
    """The estimates that the command waited for. They are pending for ever unless a test answers them."""
    found: list[UUID] = []
    ask = gpulab.Client.estimate

    def noted(client: gpulab.Client, experiment: str, spec: Any) -> EstimateRead:
        estimate = ask(client, experiment, spec, timeout_seconds=0)
        assert estimate.id is not None
        found.append(estimate.id)
        return estimate

    monkeypatch.setattr(gpulab.Client, "estimate", noted)
    return found


def jobs(seeds: Seeds) -> list[Any]:
    with seeds.engine.connect() as connection:
        return list(connection.execute(select(Job)))


async def test_dry_run_sends_the_program_and_queues_nothing(
    terminal: Terminal, seeds: Seeds, waits: list[UUID]
) -> None:
    out, err = await terminal("--dry-run", str(terminal.script), "--lr", "0.1")
    assert "No job was queued." in out
    assert "pending: the prediction is not ready yet" in out
    assert "can take a minute" in err
    assert jobs(seeds) == []
    with seeds.engine.connect() as connection:
        assert len(list(connection.execute(select(ProgramUpload)))) == 1
    (row,) = asked(seeds)
    assert row.workload["spec"]["arguments"] == ["--lr", "0.1"]
    assert waits == [row.id], "what is waited for is what the dry run asked"


async def test_dry_run_shows_a_verdict_for_each_gpu(terminal: Terminal, seeds: Seeds, waits: list[UUID]) -> None:
    await terminal("--dry-run", str(terminal.script))
    answered(seeds, asked(seeds)[0].id)
    out, err = await terminal("--dry-run", str(terminal.script))
    assert "Tesla T4" in out
    assert "likely fits" in out
    assert "peak on the device" in out
    assert "measured this itself" in out
    assert (err, len(waits)) == ("", 1), "an answer that is there is not waited for"
    found = json.loads((await terminal("--json", "--dry-run", str(terminal.script)))[0])
    assert (found["experiment"], found["estimate"]["state"]) == ("script", "ready")
    assert jobs(seeds) == []


async def test_dry_run_says_why_nothing_is_predicted(terminal: Terminal, seeds: Seeds, waits: list[UUID]) -> None:
    await terminal("--dry-run", str(terminal.script))
    why = "the program takes no optimizer step"
    with seeds.engine.begin() as connection:
        connection.execute(update(Estimate).values(state="failed", reason=why, finished_at=func.now()))
    out, _ = await terminal("--dry-run", str(terminal.script))
    assert f"failed: {why}" in out


async def test_option_after_the_script_belongs_to_the_program_and_is_said(terminal: Terminal, seeds: Seeds) -> None:
    out, err = await terminal("--no-follow", str(terminal.script), "--dry-run", "--gpus=1", "--lr", "0.1")
    assert "queued" in out
    assert re.findall(r"^(--\S+) went to your program", err, re.MULTILINE) == ["--dry-run", "--gpus"]
    (job,) = jobs(seeds)
    assert job.spec["arguments"] == ["--dry-run", "--gpus=1", "--lr", "0.1"]


async def test_dry_run_refuses_as_a_submission(terminal: Terminal, seeds: Seeds) -> None:
    _, err = await terminal("--dry-run", str(terminal.script.parent), "--", "python", "absent.py", code=3)
    assert "the program has no file 'absent.py'" in err
    _, err = await terminal("--dry-run", "--local", "dropout-linear", code=2)
    assert "use one of them" in err
    assert (asked(seeds), jobs(seeds)) == ([], [])
