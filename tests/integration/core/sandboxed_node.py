"""A node that runs students' programs, without its agent: supervisor, sandbox, host, sampler, database and store."""

import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from obstore.store import LocalStore
from sqlalchemy import Engine, select
from sqlalchemy.dialects.postgresql import insert

from gpulab.program_files import ProgramLimits, canonical_tar, program
from models import Artifact, Job, JobEvent
from models.settings import NodeSettings
from models.tables.program import Program
from models.tables.series import LogChunk
from worker.measuring.nvml import NvmlAbsent
from worker.measuring.sampler import Sampler
from worker.runs.supervisor import Supervisor

Execute = Callable[..., list[Any]]
MIB = 2**20


class Node:
    """One node. `run` sees a program through and returns its row."""

    def __init__(self, engine: Engine, execute: Execute, folder: Path, make_job: Any, make_lease: Any) -> None:
        self.execute, self._make_job, self._make_lease = execute, make_job, make_lease
        self.store = LocalStore(folder / "store", mkdir=True)
        self.datasets = folder / "datasets"
        self.datasets.mkdir()
        self.settings = NodeSettings(
            node="n1",
            runs_folder=folder / "runs",
            datasets_folder=self.datasets,
            cache_folder=folder / "cache",
            database_url="postgresql://unused",
            redis_url="redis://unused",
            artifacts_url="file:///unused",
            stop_grace_seconds=0.3,
            host_memory_bytes=600 * MIB,
            program_processes=100,
            program_disk_bytes=32 * MIB,
            program_files=2000,
            program_output_bytes=4 * MIB,
            program_records_bytes=2 * MIB,
            program_tmp_bytes=16 * MIB,
            log_limit_bytes=MIB,
        )
        (folder / "cache" / "programs").mkdir(parents=True)
        self.thread = Thread()
        self.sampler = Sampler(NvmlAbsent("none"))
        self.sampler.start()
        constants: Any = SimpleNamespace(of=lambda _: None)
        no_zygote: Any = SimpleNamespace(warm=lambda: None)
        self.supervisor = Supervisor(self.settings, engine, self.store, no_zygote, self.sampler, constants)

    def start(self, code: str, **given: Any) -> UUID:
        """Begin a program; `finish` waits for its end."""
        made = program([("main.py", textwrap.dedent(code).encode())], ProgramLimits())
        self.store.put(f"programs/{made.sha256}.tar", canonical_tar(made))
        job_id = self.submit(made.sha256, **given)
        _, token = self._make_lease(claimed=False, job_id=job_id)
        self.thread = Thread(target=self.supervisor.run, args=(job_id, token), daemon=True)
        self.thread.start()
        return job_id

    def submit(self, sha256: str, datasets: Sequence[str] = (), **given: Any) -> UUID:
        row = {"sha256": sha256, "size_bytes": 1, "file_count": 1, "manifest": []}
        self.execute(insert(Program).values(row).on_conflict_do_nothing())
        spec = {"program": sha256, "command": ["python", "main.py"], "datasets": list(datasets)}
        found: UUID = self._make_job(experiment="script", spec=spec, device="cpu", **given)
        return found

    def finish(self, job_id: UUID) -> Any:
        self._join(60)
        assert not self.thread.is_alive(), "it did not end"
        columns = (Job.state, Job.cause, Job.message, Job.result, Job.attempt, Job.lost_attempts)
        output = self.execute(select(LogChunk.data).where(LogChunk.job_id == job_id).order_by(LogChunk.start))
        text = b"".join(row["data"] for row in output).decode(errors="replace")
        return SimpleNamespace(
            **self.execute(select(*columns).where(Job.id == job_id))[0], id=job_id, output=text[-3000:]
        )

    def _join(self, seconds: float) -> None:
        if self.thread.ident is not None:
            self.thread.join(seconds)

    def run(self, code: str, **given: Any) -> Any:
        return self.finish(self.start(code, **given))

    def artifacts(self, job_id: UUID) -> dict[str, bytes]:
        rows = self.execute(select(Artifact.name, Artifact.key).where(Artifact.job_id == job_id))
        return {row["name"]: bytes(self.store.get(row["key"]).bytes()) for row in rows}

    def events(self, job_id: UUID) -> list[str]:
        rows = self.execute(select(JobEvent.type, JobEvent.message).where(JobEvent.job_id == job_id))
        return [f"{row['type']}: {row['message']}" for row in rows]

    def left(self) -> list[str]:
        """Processes and folders of runs that nobody needs any more."""
        marks = [path for path in Path("/proc").glob("[0-9]*") if _shows(path, str(self.settings.runs_folder))]
        return [*map(str, marks), *map(str, self.settings.runs_folder.glob("*-*"))]


def _shows(process: Path, mark: str) -> bool:
    try:
        return f"GPULAB_ZYGOTE={mark}".encode() in (process / "environ").read_bytes()
    except OSError:
        return False


@contextmanager
def sandboxed_node(*parts: Any) -> Iterator[Node]:
    """Nothing may be left of what ran."""
    made = Node(*parts)
    yield made
    made.supervisor.leave()
    made._join(20)
    made.sampler.stop()
    assert made.left() == []
