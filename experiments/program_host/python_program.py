"""The process of a Python program: what `python FILE` would do, and a report of how it ended."""

import atexit
import builtins
import faulthandler
import gc
import json
import os
import runpy
import signal
import sys
import threading
import traceback
from contextlib import suppress
from importlib.machinery import SourceFileLoader
from os import _exit as exit_now  # whatever the program makes of the module
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

from experiments.catalog.notebook import spec as notebook
from experiments.catalog.script import spec as script
from experiments.hosting.run_directory import RunDirectory
from experiments.hosting.verdict import ending_of
from experiments.hosting.wire import RunOrder
from experiments.program_host.hints import MAX_MESSAGE_CHARACTERS, with_hint
from experiments.program_host.paths import stand_behind
from experiments.program_host.preparing import prepare
from experiments.program_host.session import LOG, ended_with
from gpulab.run import stopping

if TYPE_CHECKING:
    from experiments.program_host.script import Python

EXPERIMENTS = {experiment.slug: experiment for experiment in (script.EXPERIMENT, notebook.EXPERIMENT)}
HERE = str(Path(__file__).parent)
MAX_CAUSES = 10
MAX_WORDS_CHARACTERS = 20_000


def run_and_exit(python: "Python", report: int, order: RunOrder, run: RunDirectory) -> NoReturn:
    """Body of the forked process. The report goes to the file descriptor, which its parent reads."""
    status, error, has_stopped = 1, None, False
    try:
        os.setsid()  # a signal to its own group does not reach the host
        default_signals()
        faulthandler.enable(LOG)
        stopping.listen()
        prepare(order, run)
        status, error = _run(python, order, run)
        has_stopped = stopping.Stop.is_heard or (stopping.Stop.is_asked and status != 0)
        _write(report, error, has_stopped=has_stopped)
        status = finish(status)
    finally:
        exit_now(status)


def default_signals() -> None:
    """Python's own, in place of those that the host set."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _run(python: "Python", order: RunOrder, run: RunDirectory) -> tuple[int, dict[str, Any] | None]:
    """Exit status, and the fields of the last record where it failed."""
    folder = Path.cwd()
    try:
        _as_main(python)
    except SystemExit as error:
        return _exit(error)
    except KeyboardInterrupt:
        return SIGINT_STATUS, {"message": "interrupted"}
    except BaseException as error:  # noqa: BLE001 - a program's own error of any kind is the answer
        fields = failure(error.with_traceback(without_host(error.__traceback__)), order, run)
        if fields["cause"] == "error" and (place := place_of(error, folder)):
            fields["message"] = f"{fields['message'][:MAX_MESSAGE_CHARACTERS]} ({place})"
        return 1, fields
    return 0, None


SIGINT_STATUS = 128 + signal.SIGINT


def _as_main(python: "Python") -> None:
    sys.argv = [python.name, *python.arguments]
    if python.is_module:
        stand_behind(Path.cwd())
        runpy.run_module(python.name, run_name="__main__", alter_sys=True)
        return
    path = Path(python.name).absolute()
    stand_behind(path if path.is_dir() else path.resolve().parent)
    if path.is_dir():
        runpy.run_path(str(path), run_name="__main__")
    else:
        _run_file(str(path))


def _run_file(path: str) -> None:
    """As `python FILE` does: unlike with `runpy`, the file's name is absolute, and the module stays `__main__` for
    threads and for what is called at the end.
    """
    main = ModuleType("__main__")
    loader = SourceFileLoader("__main__", path)
    vars(main).update(__file__=path, __builtins__=builtins, __cached__=None, __loader__=loader)
    sys.modules["__main__"] = main
    exec(compile(Path(path).read_bytes(), path, "exec", dont_inherit=True), vars(main))  # noqa: S102 - that is its work


def _exit(error: SystemExit) -> tuple[int, dict[str, Any] | None]:
    if error.code is None or error.code == 0:
        return 0, None
    if isinstance(error.code, int):
        return error.code & 0xFF, {"message": ended_with(error.code, "the program")}
    print(error.code, file=sys.stderr)  # noqa: T201 - as Python does
    return 1, {"message": f"the program ended: {error.code}"[:1000]}


def failure(error: BaseException, order: RunOrder, run: RunDirectory) -> dict[str, Any]:
    """The fields of the record of an error that is being handled; its traceback goes to the log."""
    with suppress(OSError):
        traceback.print_exception(error)
    kind, fields = ending_of(error, order, run, EXPERIMENTS.get(order.experiment))
    if kind != "error":  # a full disk is the program's own: the sandbox bounds it
        fields |= {"cause": "error", "traceback": traceback.format_exc()[-20_000:]}
    if fields["cause"] == "error":
        fields["message"] = with_hint(fields["message"], _whole(error), has_gpu=order.device != "cpu")
    return fields


def _whole(error: BaseException) -> str:
    """Its words and those of the errors that led to it: what could not be reached is often only said by the first."""
    words: list[str] = []
    each: BaseException | None = error
    while each is not None and len(words) < MAX_CAUSES:
        words.append(_shown(each))
        each = each.__cause__ or each.__context__
    return "\n".join(words)[:MAX_WORDS_CHARACTERS]


def _shown(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - the code of a program
        return type(error).__name__


def place_of(error: BaseException, folder: Path) -> str | None:
    """The innermost line of the program's own files: `model.py, line 12`."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [(os.path.relpath(folder / frame.filename, folder), frame.lineno) for frame in frames]
    inside = [(name, line) for name, line in own if not name.startswith("..") and (folder / name).is_file()]
    return f"{inside[-1][0]}, line {inside[-1][1]}" if inside else None


def without_host(trace: TracebackType | None) -> TracebackType | None:
    """Without the lines above the program's own, as Python alone would show it."""
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith((HERE, "<frozen runpy")):
        trace = trace.tb_next
    return trace


def _write(report: int, error: dict[str, Any] | None, *, has_stopped: bool) -> None:
    said = {"error": error, "has_stopped": has_stopped, "message": ""}
    os.pwrite(report, json.dumps(said).encode(), 0)


def finish(status: int) -> int:
    """What the interpreter does at its end: wait for threads, call what was registered, write what is left.

    Files that the program left open are written as its module goes.
    """
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.modules.pop("__main__", None)
        gc.collect()
    except BaseException:  # noqa: BLE001 - the program's own code; the result stands
        traceback.print_exc()
        status = status or 1
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # closed, or the program's own and without this method
            stream.flush()
    return status
