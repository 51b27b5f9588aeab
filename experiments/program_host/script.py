"""Runs a program's command: Python in a fork of this process, anything else as it is."""

import json
import os
import select
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.catalog.script.spec import ScriptSpec
from experiments.program_host import python_program
from experiments.program_host.paths import last_places
from experiments.program_host.session import Ended, Session, died, send

LOOK_SECONDS = 1.0
MAX_REPORT_BYTES = 256 * 2**10
PYTHON_NAMES = frozenset({"python", "python3", f"python3.{sys.version_info.minor}"})


@dataclass(frozen=True, slots=True)
class Python:
    """A command that this process can run without another interpreter."""

    name: str
    """A file, or a module's dotted name."""
    is_module: bool
    arguments: tuple[str, ...]


def run(spec: ScriptSpec, session: Session) -> Ended:
    """Run it to its end. Files and series are collected while it runs."""
    command = [*spec.command, *spec.arguments, *as_arguments(spec.parameters)]
    print(f"$ {shlex.join(command)}", flush=True)  # noqa: T201 - the log begins with what runs
    python = as_python(command)
    if python is None:
        return _run_command(command, session)
    if not python.is_module and not _is_program(Path(python.name)):
        return Ended(2, {"message": _no_such_file(python.name)})
    return _run_python(python, shlex.join(spec.command), session)


def as_arguments(parameters: Mapping[str, Any]) -> list[str]:
    """`--name value` for each, `--name=value` where the value begins with a dash and would be taken for an option; true
    is `--name` alone, false and null are left out.
    """
    words: list[str] = []
    for name, value in parameters.items():
        text = str(value)
        if value is True:
            words.append(f"--{name}")
        elif value is not None and value is not False:
            words += [f"--{name}={text}"] if text.startswith("-") else [f"--{name}", text]
    return words


def as_python(command: Sequence[str]) -> Python | None:
    """What the command runs in Python; None for another program, and for Python with interpreter options."""
    words = list(command)
    if words[0].endswith(".py"):
        words.insert(0, "python")
    if Path(words[0]).name not in PYTHON_NAMES:
        return None
    rest = [word for word in words[1:2] if word != "-u"] + words[2:]
    if len(rest) > 1 and rest[0] == "-m":
        return Python(rest[1], is_module=True, arguments=tuple(rest[2:]))
    if rest and not rest[0].startswith("-"):
        return Python(rest[0], is_module=False, arguments=tuple(rest[1:]))
    return None


def _is_program(path: Path) -> bool:
    return path.is_file() or (path / "__main__.py").is_file()


def _no_such_file(name: str) -> str:
    there = sorted(path.as_posix() for path in Path().glob("*"))[:20]
    return f"the program has no file {name!r}; its folder has: {', '.join(there) or 'nothing'}"


def _run_python(python: Python, what: str, session: Session) -> Ended:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    with tempfile.TemporaryFile() as report:
        pid = os.fork()
        if pid == 0:
            python_program.run_and_exit(python, report.fileno(), session.order, session.run)
        session.pass_on = lambda number: send(pid, number)
        status = _wait(pid, session)
        said = _read(report.fileno())
    if said is None:
        return Ended(status, died(status, what) if status else None, has_stopped=session.is_stopping and status != 0)
    return Ended(status, said["error"], said["has_stopped"], said["message"])


def _run_command(command: list[str], session: Session) -> Ended:
    places = [os.environ.get("PYTHONPATH"), *last_places()]
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, places))},
        )
    except OSError as error:
        return Ended(
            127, {"message": f"the command {command[0]!r} could not be started: {_why_not(command[0], error)}"}
        )
    session.pass_on = lambda number: send(process.pid, number, group=True)
    status = _wait(process.pid, session)
    process.returncode = status
    send(process.pid, signal.SIGKILL, group=True)
    return Ended(status, died(status, command[0]) if status else None, has_stopped=session.is_stopping)


def _why_not(name: str, error: OSError) -> str:
    if isinstance(error, PermissionError) and Path(name).is_file():
        return f"a file that was sent cannot be executed. Name what runs it, such as `bash {Path(name).name}`"
    return str(error.strerror)


def _wait(pid: int, session: Session) -> int:
    """Until the process has ended; collects meanwhile. Returns its status, negative for a signal."""
    if session.is_stopping:
        session.stop()
    pidfd = os.pidfd_open(pid)
    try:
        while not select.select([pidfd], [], [], LOOK_SECONDS)[0]:
            session.collector.turn()
    finally:
        os.close(pidfd)
    session.pass_on = lambda _: None
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _read(report: int) -> dict[str, Any] | None:
    """What the process said of its end; it may have written anything."""
    data = os.pread(report, MAX_REPORT_BYTES, 0)
    with suppress(ValueError):
        said = json.loads(data)
        if isinstance(said, dict) and said.keys() == {"error", "has_stopped", "message"}:
            return said
    return None
