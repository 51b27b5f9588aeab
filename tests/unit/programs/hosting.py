"""Runs a program by its host in a plain process, without a sandbox or a lab."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from experiments.hosting.record_reader import RecordReader
from experiments.hosting.wire import RunOrder
from gpulab.run.files import RECORDS_FILE
from tests.lab import Lab
from worker.programs.process import HOST

ROOT = Path(__file__).parents[3]
PROGRAM = "0" * 64
COMMAND = (sys.executable, *HOST)
WARM = (
    f"{HOST[-1]}.__main__",
    "torch",
    "numpy",
    *(f"{HOST[-1]}.{name}" for name in ("script", "notebook", "memory_hooks")),
)


@dataclass(frozen=True)
class Hosted:
    """What a run left."""

    status: int
    output: str
    folder: Path
    records: list[dict[str, Any]]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [record for record in self.records if record["type"] == kind]

    @property
    def end(self) -> dict[str, Any]:
        return self.records[-1]

    @property
    def artifacts(self) -> set[str]:
        return {record["name"] for record in self.of("artifact")}

    def series(self, name: str) -> list[tuple[int, float]]:
        return [(each["step"], float(each["values"][name])) for each in self.of("metric") if name in each["values"]]


class Place:
    """The two folders that a sandbox shows to a program."""

    def __init__(self, folder: Path) -> None:
        self.run, self.work = folder / "run", folder / "work"
        for each in (self.run, self.work):
            each.mkdir(parents=True)

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            (self.work / name).parent.mkdir(parents=True, exist_ok=True)
            (self.work / name).write_text(text)

    def order(self, experiment: str, spec: Mapping[str, Any], **fields: Any) -> None:
        RunOrder(
            experiment=experiment,
            spec={"program": PROGRAM, **spec},
            datasets_folder=self.run.parent / "data",
            cache_folder=self.run / "cache",
            **fields,
        ).write(self.run)

    def to_its_end(self, env: Mapping[str, str] | None = None) -> Hosted:
        """Run it in a process that has torch loaded, as the lab does where a spare one waits."""
        assert Lab.templates is not None
        return self.result_of(self.start(command=Lab.templates.command(WARM), env=env or {}))

    def start(self, *options: str, command: Sequence[str] = COMMAND, **popen: Any) -> "subprocess.Popen[str]":
        folders = ("--run-directory", str(self.run), "--work", str(self.work))
        environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        environment |= {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "LANG": "C.UTF-8"}
        return subprocess.Popen(
            [*popen.pop("before", []), *command, *folders, *options],
            cwd=self.work,
            env=environment | popen.pop("env", {}),
            stdin=popen.pop("stdin", subprocess.DEVNULL),
            stdout=popen.pop("stdout", subprocess.PIPE),
            stderr=subprocess.STDOUT,
            text=True,
            **popen,
        )

    def logged(self) -> Hosted:
        """Run it to its end with a file as its log, as a worker does."""
        with (self.run.parent / "output.log").open("a+") as log:
            found = self.result_of(self.start(stdout=log))
            log.seek(0)
            return replace(found, output=log.read())

    def result_of(self, process: "subprocess.Popen[str]") -> Hosted:
        try:
            output, _ = process.communicate(timeout=100)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
        # Every line is one that the lab accepts.
        found, _ = RecordReader(self.run).read(0)
        assert [str(each) for each in found if type(each).__name__ == "Broken"] == []
        lines = (self.run / RECORDS_FILE).read_text().splitlines() if (self.run / RECORDS_FILE).exists() else []
        return Hosted(process.returncode, output, self.run, [json.loads(line) for line in lines])


def run_script(folder: Path, files: Mapping[str, str], command: str = "python train.py", **given: Any) -> Hosted:
    """Run a command of a program to its end; `given` are fields of the spec, and `seed` and `env`."""
    place = Place(folder / "place")
    place.write(files)
    seed, env = given.pop("seed", 0), given.pop("env", {})
    place.order("script", {"command": command.split(" "), **given}, seed=seed)
    return place.to_its_end(env)


@contextmanager
def running(place: Place, *options: str, **popen: Any) -> Iterator["subprocess.Popen[str]"]:
    """A host that is ended with the test, and with it the program, which has a group of its own."""
    process = place.start(*options, start_new_session=True, **popen)
    try:
        yield process
    finally:
        if process.poll() is None:
            for pid in (*_children(process.pid), process.pid):
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
        process.wait()
        if process.stdout:
            process.stdout.close()


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
