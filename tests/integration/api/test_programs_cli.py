"""`gpulab run` and `client.run` against the API at a real port: nothing runs here, the jobs are looked at."""

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select
from structlog.testing import capture_logs

import gpulab
from api.__main__ import Server
from gpulab.cli import main
from gpulab.client.programs import sending
from gpulab.errors import ConfigurationError, InvalidRequest
from gpulab.program_files import ProgramLimits, program
from gpulab.states import Role
from models.tables.job import Job
from models.tables.program import ProgramUpload
from tests.integration.api.seeds import SeededUser, Seeds
from tests.lab import wait_until


class Terminal:
    def __init__(self, url: str, token: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.folder = folder / "home"
        self.folder.mkdir()
        file = folder / "token"
        file.write_text(token)
        self.common = ["--url", url, "--token-file", str(file)]

    async def __call__(self, *words: str, codes: tuple[int, ...] = (0,), group: str = "run") -> str:
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            alone = group in {"run", "status"}
            command = [group, *self.common, *words] if alone else [group, words[0], *self.common, *words[1:]]
            found = await asyncio.to_thread(main, command)
        finally:
            os.chdir(before)
        out, err = self._capsys.readouterr()
        assert found in codes, err or out
        return (err or out) if found else out

    async def json(self, *words: str) -> Any:
        return json.loads(await self("--json", "--no-follow", *words))


@pytest.fixture
def terminal(
    server: tuple[Server, str], admin: SeededUser, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[Terminal]:
    with capture_logs():
        yield Terminal(server[1], admin.token, tmp_path, capsys)


@pytest.fixture
def student(
    terminal: Terminal, server: tuple[Server, str], seeds: Seeds, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Terminal:
    folder = tmp_path / "student"
    folder.mkdir()
    return Terminal(server[1], seeds.user("olga", Role.STUDENT).token, folder, capsys)


async def test_script_with_its_arguments_becomes_a_job(terminal: Terminal) -> None:
    (terminal.folder / "train.py").write_text("print(1)\n")
    options = ("--seed", "7", "--tag", "a", "--time-limit", "2m", "--gpu-memory", "1.5GiB")
    job = await terminal.json(*options, "train.py", "--lr", "0.1", "--seed", "3")
    assert (job["experiment"], job["spec"]["command"]) == ("script", ["python", "train.py"])
    assert job["spec"]["arguments"] == ["--lr", "0.1", "--seed", "3"]
    assert (job["seed"], job["tags"], job["time_limit_seconds"]) == (7, ["a"], 120)
    assert job["gpu_memory_bytes"] == 1_610_612_736
    sha = program([("train.py", b"print(1)\n")], ProgramLimits()).sha256
    assert (job["program"]["sha256"], job["program"]["name"]) == (sha, "train.py")


async def test_notebook_and_folder_become_jobs(terminal: Terminal) -> None:
    notebook = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (terminal.folder / "lesson.ipynb").write_text(json.dumps(notebook))
    (terminal.folder / "src").mkdir()
    (terminal.folder / "src" / "train.py").write_text("1\n")
    (terminal.folder / ".gpulabignore").write_text("*.log\n")
    (terminal.folder / "old.log").write_text("x")
    job = await terminal.json("lesson.ipynb", "-p", "lr=0.1", "--param", "name=a b")
    assert (job["experiment"], job["spec"]["notebook"]) == ("notebook", "lesson.ipynb")
    assert job["spec"]["parameters"] == {"lr": 0.1, "name": "a b"}
    job = await terminal.json(".", "--", "python", "src/train.py", "--lr", "0.1")
    assert job["spec"]["command"] == ["python", "src/train.py", "--lr", "0.1"]
    assert (job["program"]["name"], job["program"]["file_count"]) == ("home", 2)


async def test_files_are_sent_only_once(terminal: Terminal, seeds: Seeds, monkeypatch: pytest.MonkeyPatch) -> None:
    (terminal.folder / "train.py").write_text("print(1)\n")
    await terminal.json("train.py")
    monkeypatch.setattr(sending, "canonical_tar", None)
    await terminal.json("train.py", "--lr", "0.1")
    with seeds.engine.begin() as connection:
        assert connection.execute(select(func.count()).select_from(ProgramUpload)).scalar_one() == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["absent.py"], "absent.py does not exist"),
        (["dropout-linear"], "gpulab submit dropout-linear"),
        ([".",], "name the command"),
        ([".", "--", "python", "absent.py"], "the program has no file 'absent.py'; it has 'a.txt'"),
        (["--gpu-memory", "much", "."], "must look like 6GiB"),
    ],
)  # fmt: skip
async def test_what_cannot_run_is_said(terminal: Terminal, words: list[str], said: str) -> None:
    (terminal.folder / "a.txt").write_text("1")
    assert said in await terminal(*words, codes=(2, 3))


async def test_client_runs_and_compares(terminal: Terminal, server: tuple[Server, str], admin: SeededUser) -> None:
    script = terminal.folder / "train.py"

    def calls() -> None:
        with gpulab.Client(server[1], admin.token) as client:
            script.write_text("one\n")
            first = client.run(script, "--lr", "0.1", name="first").data.program
            script.write_text("two\n")
            second = client.run(terminal.folder, command=["python", "train.py"]).data.program
            assert first is not None
            assert second is not None
            difference = client.programs.compare(first.sha256, second.sha256)
            assert [file.path for file in difference.files] == ["train.py"]
            assert [one.sha256 for one in client.programs.list()] == [second.sha256, first.sha256]
            target = client.programs.download(first.sha256, terminal.folder / "copy")
            assert (target / "train.py").read_text() == "one\n"
            with pytest.raises(ConfigurationError, match="exists already"):
                client.programs.download(first.sha256, target)
            with pytest.raises(InvalidRequest, match="no program that you may read"):
                client.submit("script", {"program": "0" * 64, "command": ["python", "a.py"]})

    await asyncio.to_thread(calls)


async def test_assignment_gets_a_starter_and_a_check(terminal: Terminal, seeds: Seeds) -> None:
    for name in ("start", "check"):
        (terminal.folder / name).mkdir()
        (terminal.folder / name / f"{name}.py").write_text("print(1)\n")
    seeds.user("olga", Role.STUDENT)
    words = ("create", "Own code", "--deadline", "2999-01-01", "--experiment", "script")
    await terminal(*words, group="assignments")
    await terminal("set-starter", "Own code", "start", "--", "python", "start.py", "--lr", "1", group="assignments")
    checked = await terminal(
        *("set-check", "--points", "5", "--time-limit", "2m", "Own code", "check", "--", "python", "check.py"),
        group="assignments",
    )
    assert "5 points maximum" in checked
    said = await terminal("starter", "Own code", "--out", "mine", group="assignments")
    assert "gpulab run mine -- python start.py --lr 1" in said
    assert (terminal.folder / "mine" / "start.py").read_text() == "print(1)\n"
    assert "released" in await terminal("release", "Own code", group="assignments")
    assert "hidden" in await terminal("release", "Own code", "--withdraw", group="assignments")
    await terminal("grades", "Own code", "--out", "grades.csv", group="assignments")
    assert (terminal.folder / "grades.csv").read_text().splitlines()[1].startswith("olga,")
    notebook = await terminal("set-check", "Own code", "absent.ipynb", group="assignments", codes=(2,))
    assert "does not exist" in notebook


@pytest.mark.parametrize(
    ("result", "code", "said"),
    [
        ({"points": 4, "words": "close\x1b[31m"}, 0, "olga  4 of 5 points: close"),
        ({"points": 6}, 1, "olga  no points: the check did not return points between 0 and 5: 6"),
    ],
)
async def test_check_is_waited_for_and_says_its_points(
    terminal: Terminal, student: Terminal, seeds: Seeds, result: Any, code: int, said: str
) -> None:
    seeds.node()
    (terminal.folder / "work.py").write_text("print(1)\n")
    (student.folder / "work.py").write_text("print(2)\n")
    await terminal("create", "Own code", "--deadline", "2999-01-01", "--experiment", "script", group="assignments")
    await terminal("set-check", "--points", "5", "Own code", "work.py", group="assignments")
    assert "HANDED IN" not in await terminal("list", group="assignments")
    assert "nothing yet" in await student("list", group="assignments")
    job = await student.json("work.py")
    seeds.conclude(UUID(job["id"]), {})
    await student("hand-in", "Own code", job["id"], group="assignments")
    first = _check(seeds)
    assert first is not None
    seeds.conclude(first, {"points": 1})
    waiting = asyncio.create_task(terminal("check", "Own code", "olga", "--wait", group="assignments", codes=(code,)))
    check = await asyncio.to_thread(wait_until, lambda: _check(seeds), timeout_seconds=30, what="the check")
    assert check is not None
    seeds.conclude(check, result)
    shown = await waiting
    assert said in shown
    assert "\x1b" not in shown


def _check(seeds: Seeds) -> UUID | None:
    """The check that waits."""
    waiting = select(Job.id).where(Job.experiment == "program-check", Job.state == "queued")
    with seeds.engine.connect() as connection:
        return connection.scalar(waiting)


async def test_programs_are_listed_shown_and_downloaded(terminal: Terminal) -> None:
    assert "sent no programs" in await terminal("list", group="programs")
    (terminal.folder / "train.py").write_text("one\n")
    job = await terminal.json("train.py")
    sha = job["program"]["sha256"]
    assert [sha[:12], "train.py", "1"] == (await terminal("list", group="programs")).splitlines()[1].split()[:3]
    for named in (sha, sha[:6], "train.py", job["id"], "@last"):
        assert sha in await terminal("show", named, group="programs")
    folder = (await terminal("get", "@last", group="programs")).strip()
    assert (terminal.folder / folder / "train.py").read_text() == "one\n"
    assert "exists already" in await terminal("get", sha[:8], group="programs", codes=(2,))
    assert f"train.py ({sha[:12]}, 1 file)" in await terminal("@last", group="status")


async def test_programs_of_two_runs_are_compared(terminal: Terminal) -> None:
    (terminal.folder / "train.py").write_text("lr = 1\n")
    (terminal.folder / "data.bin").write_bytes(b"\0")
    first = await terminal.json(".", "--", "python", "train.py")
    (terminal.folder / "train.py").write_text("lr = 2\n")
    (terminal.folder / "data.bin").write_bytes(b"\0\0")
    second = await terminal.json(".", "--", "python", "train.py")
    said = (await terminal("diff", first["id"], second["id"], group="programs")).splitlines()
    assert said[:2] == ["changed: data.bin", "not a text file (1 B → 2 B)"]
    assert {"-lr = 1", "+lr = 2", "2 files changed."} <= set(said)
    assert "the same" in await terminal("diff", "@last", second["id"], group="programs")
    found = json.loads(await terminal("diff", first["id"], "@last", "--json", group="programs"))
    assert [file["path"] for file in found["files"]] == ["data.bin", "train.py"]


@pytest.mark.parametrize("named", ["abcdef", "lost.py", "0" * 63])
async def test_unknown_program_is_said(terminal: Terminal, named: str) -> None:
    assert "no program of yours" in await terminal("show", named, group="programs", codes=(2,))


async def test_what_was_only_readable_is_ones_own_after_a_run(terminal: Terminal, student: Terminal) -> None:
    (terminal.folder / "start.py").write_text("print(1)\n")
    await terminal("create", "Own code", "--deadline", "2999-01-01", "--experiment", "script", group="assignments")
    await terminal("set-starter", "Own code", "start.py", group="assignments")
    await student("starter", "Own code", "--out", "mine", group="assignments")
    job = await student.json("mine", "--", "python", "start.py")
    assert job["program"]["name"] == "mine"
    assert "mine" in await student("list", group="programs")
