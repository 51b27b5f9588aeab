"""What a hidden check finds beside its program: the files and the result of the run, and nothing of the student."""

import json
from collections.abc import Callable
from pathlib import Path
from shutil import rmtree
from typing import Any
from uuid import UUID, uuid4

import pytest
from obstore.store import LocalStore
from sqlalchemy import Engine, insert, update

from models import Artifact, Job
from worker.programs.cache import ProgramError
from worker.programs.submission import place_submission

Execute = Callable[..., list[Any]]


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store", mkdir=True)


def keep(execute: Execute, store: LocalStore, job: UUID, name: str, data: bytes | None) -> None:
    file = {"job_id": job, "attempt": 1, "name": name, "key": f"{job}/{name}", "sha256": "s", "media_type": "x"}
    execute(insert(Artifact).values(**file, size_bytes=len(data or b"")))
    if data is not None:
        store.put(f"{job}/{name}", data)


def test_files_and_result_lie_beside_the_check(
    execute: Execute, make_job: Callable[..., UUID], engine: Engine, store: LocalStore, tmp_path: Path
) -> None:
    job, other = make_job(), make_job()
    execute(update(Job).where(Job.id == job).values(result={"accuracy": 0.5}, name="ada's"))
    keep(execute, store, job, "model.pt", b"\0" * 300_000)
    keep(execute, store, job, "empty.txt", b"")
    keep(execute, store, other, "other.txt", b"x")
    place_submission(engine, store, job, tmp_path)
    outputs = tmp_path / "submission" / "outputs"
    assert {path.name: path.stat().st_size for path in outputs.iterdir()} == {"model.pt": 300_000, "empty.txt": 0}
    assert {path.stat().st_mode & 0o777 for path in outputs.iterdir()} == {0o444}
    told = json.loads((tmp_path / "submission" / "run.json").read_text())
    assert told["result"] == {"accuracy": 0.5}
    assert set(told) == {"id", "experiment", "spec", "seed", "program_sha256", "result"}


def test_example_that_came_with_the_check_is_replaced(
    execute: Execute, make_job: Callable[..., UUID], engine: Engine, store: LocalStore, tmp_path: Path
) -> None:
    job = make_job()
    keep(execute, store, job, "model.pt", b"real")
    (tmp_path / "submission" / "outputs" / "model.pt").mkdir(parents=True)
    (tmp_path / "submission" / "outputs" / "example.csv").write_text("from home")
    for _ in range(2):
        place_submission(engine, store, job, tmp_path)
        kept = {path.name: path.read_bytes() for path in (tmp_path / "submission" / "outputs").iterdir()}
        assert kept == {"model.pt": b"real"}
        rmtree(tmp_path / "submission")
        (tmp_path / "submission").write_text("a file")


def test_what_is_gone_fails_the_check_in_words(
    execute: Execute, make_job: Callable[..., UUID], engine: Engine, store: LocalStore, tmp_path: Path
) -> None:
    job = make_job()
    keep(execute, store, job, "gone.txt", None)
    with pytest.raises(ProgramError, match=r"gone\.txt of the run that was handed in is no longer stored"):
        place_submission(engine, store, job, tmp_path)
    with pytest.raises(ProgramError, match="there is no job"):
        place_submission(engine, store, uuid4(), tmp_path)
