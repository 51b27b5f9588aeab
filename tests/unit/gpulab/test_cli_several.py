"""Commands on several things, and files that cannot be written."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import httpx
import pytest
import typer

from gpulab.client.local_files import local_name
from tests.unit.gpulab.command import Ran
from tests.unit.gpulab.stub_lab import StubLab

FULL = Path("/dev/full")


def test_each_job_gets_its_line_and_the_exit_code_tells(run: Callable[..., Ran], stub: StubLab) -> None:
    first, over, last = (stub.add(state=state) for state in ("running", "succeeded", "queued"))
    unknown = uuid4()
    ran = run("cancel", first.id, over.id, "17", unknown, last.id)
    assert ran.out.splitlines() == [f"{first.id}  cancelled", f"{last.id}  cancelled"]
    assert [line.split(": ")[1] for line in ran.err.splitlines()] == [str(over.id), "17", str(unknown)]
    assert "the job is succeeded already" in ran.err
    assert ran.code == 3


def test_one_json_list_has_everything_in_order(run: Callable[..., Ran], stub: StubLab) -> None:
    over, waiting = stub.add(state="failed"), stub.add()
    ran = run("cancel", over.id, waiting.id, over.id, "--json")
    items = json.loads(ran.out)
    assert [item["id"] for item in items] == [str(over.id), str(waiting.id)]
    assert (items[0]["error"], items[0]["exit_code"]) == ("Conflict", 3)
    assert items[1]["state"] == "cancelled"
    assert json.loads(ran.err)["id"] == str(over.id)


def test_a_lab_that_went_away_is_asked_once(
    run: Callable[..., Ran],
    stub: StubLab,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gpulab.cli.session.RETRY_SECONDS", 0.0)
    jobs = [str(stub.add().id) for _ in range(3)]
    monkeypatch.setenv("GPULAB_URL", "http://127.0.0.1:1")
    ran = run("cancel", *jobs)
    assert ran.code == 4
    assert ["not tried" in line for line in ran.err.splitlines()] == [False, True, True]


@pytest.mark.parametrize(
    ("options", "expected"), [(["--all"], {"a", "b", "c"}), (["--tag", "x"], {"b"}), (["--study", "{study}"], {"c"})]
)
def test_cancel_chooses_among_ones_own_jobs_that_have_not_ended(
    run: Callable[..., Ran],
    stub: StubLab,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    expected: set[str],
) -> None:
    study = uuid4()
    stub.add(name="a", state="running")
    stub.add(name="b", tags=["x"])
    stub.add(name="c", study_id=study)
    stub.add(name="over", state="succeeded", tags=["x"], study_id=study)
    stub.add(name="another's", owner="bob", tags=["x"])
    monkeypatch.setattr("gpulab.cli.session.Session.study", lambda _lab, text: SimpleNamespace(id=text))
    ran = run("cancel", *(option.format(study=study) for option in options))
    assert (ran.code, ran.err) == (0, "")
    assert {job.name for job in stub.jobs.values() if job.state == "cancelled"} == expected


def test_cancel_ends_waiting_jobs_before_those_that_run(run: Callable[..., Ran], stub: StubLab) -> None:
    running, waiting = stub.add(state="running"), stub.add()
    assert [line.split()[0] for line in run("cancel", "--all").out.splitlines()] == [str(waiting.id), str(running.id)]
    assert run("cancel", "--all").out == "You have no runs to cancel.\n"
    assert run("cancel", "--all", "--json").out == "[]\n"


def test_on_a_terminal_the_number_is_confirmed(
    run: Callable[..., Ran],
    stub: StubLab,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stub.add()
    asked: list[str] = []

    def no(text: str, *, abort: bool) -> None:
        asked.append(text)
        raise typer.Abort

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", no)
    ran = run("cancel", "--all")
    assert (ran.code, ran.err, asked) == (2, "gpulab: cancelled; nothing was changed\n", ["Cancel 1 run?"])
    assert run("cancel", "--all", "--yes").code == 0
    assert len(asked) == 1


@pytest.mark.parametrize("arguments", [[], ["17", "--all"]])
def test_cancel_needs_ids_or_a_choice(run: Callable[..., Ran], arguments: list[str]) -> None:
    ran = run("cancel", *arguments)
    assert ran.code == 2
    assert "--all, --tag or --study" in ran.err


def test_a_job_that_ended_meanwhile_is_no_failure(run: Callable[..., Ran], stub: StubLab) -> None:
    job = stub.add(state="running")
    original = stub._list

    def listing(request: httpx.Request) -> httpx.Response:
        answer = original(request)
        if str(job.id) in answer.text:
            stub.change(job.id, state="succeeded")
        return answer

    stub._list = listing  # type: ignore[method-assign]
    ran = run("cancel", "--all")
    assert (ran.code, ran.out) == (0, f"{job.id}  succeeded\n")


def test_retry_takes_several_and_the_newest_is_the_one_before_the_command(
    run: Callable[..., Ran],
    stub: StubLab,
) -> None:
    older, newest = stub.add(state="failed"), stub.add(state="failed")
    ran = run("retry", older.id, "@last", uuid4())
    assert (ran.code, ran.out.count(" queued\n"), ran.err.count("\n")) == (3, 2, 1)
    assert [job.retry_of for job in stub.jobs.values()][2:] == [older.id, newest.id]


def test_get_goes_on_behind_a_file_that_is_not_there(
    run: Callable[..., Ran],
    stub: StubLab,
    tmp_path: Path,
) -> None:
    job = stub.add(state="succeeded")
    stub.files = {"a.txt": b"A", "b.txt": b"B"}
    ran = run("get", job.id, "a.txt", "c.txt", "b.txt", "--to", "to")
    assert (ran.code, ran.out) == (3, "to/a.txt\nto/b.txt\n")
    assert "c.txt: job" in ran.err
    found = json.loads(run("get", job.id, "a.txt", "c.txt", "--to", "to", "--json").out)
    assert (found["files"], [item["id"] for item in found["failed"]]) == (["to/a.txt"], ["c.txt"])


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO, errno.ENAMETOOLONG])
def test_a_disk_that_cannot_be_written_is_named_with_the_file_and_left_clean(
    run: Callable[..., Ran],
    stub: StubLab,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
) -> None:
    job = stub.add(state="succeeded")
    stub.files = {"model.ckpt": b"x" * 100}

    def fail(*_: object) -> object:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("gpulab.client.downloads._Download._append", fail)
    ran = run("get", job.id, "--to", "to")
    assert ran.code == 2
    assert ran.err.splitlines()[-1] == f"gpulab: model.ckpt: {os.strerror(number)}: 'to/model.ckpt'"
    assert list((tmp_path / "to").iterdir()) == []


def test_a_broken_line_leaves_what_came_to_be_continued(
    run: Callable[..., Ran],
    stub: StubLab,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gpulab.cli.session.RETRY_SECONDS", 0.0)
    job = stub.add(state="succeeded")
    stub.files = {"model.ckpt": b"x" * 100}
    stub.faults.extend(
        [
            lambda request: stub._job("GET", job, [], request),
            lambda request: stub._job("GET", job, ["artifacts"], request),
            lambda request: stub._job("GET", job, ["artifacts"], request),
        ]
    )
    stub.faults.append(lambda _: httpx.Response(503))
    assert run("get", job.id, "--to", "to").code == 4
    assert [path.suffix for path in (tmp_path / "to").iterdir()] == [".part"]


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_a_full_disk_below_standard_output_is_one_line() -> None:
    with FULL.open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "gpulab", "--version"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr.startswith("gpulab: No space left on device")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "platform", "expected"),
    [
        ("aux.txt", "win32", "aux_.txt"),
        ("CON", "win32", "CON_"),
        ("table.", "win32", "table._"),
        ("aux.txt", "linux", "aux.txt"),
        ("a.txt", "darwin", "a-2.txt"),
        ("A.txt", "darwin", "A.txt"),
        ("a.txt", "linux", "a.txt"),
        ("console.txt", "win32", "console.txt"),
    ],
)
def test_names_that_a_system_cannot_hold_are_changed(name: str, platform: str, expected: str) -> None:
    assert local_name(name, ["A.txt", "a.txt", "b.txt"], platform) == expected
