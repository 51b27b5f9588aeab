"""Threads and tasks that a process cannot do without: one that ends unexpectedly ends the process.

A supervisor then starts it anew. The process is asked to stop as by SIGTERM, so that it hands on what it holds; one
that does not stop is ended.
"""

import asyncio
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

STOP_SECONDS = 45.0
"""What an orderly stop may take before it is cut short."""
UNASKED = "it returned although it was not stopped"
FAILED = 70
"""Exit status of a process that was cut short."""


def _print(part: str, reason: str, error: BaseException | None) -> None:
    print(f"{part} ended unexpectedly: {reason}", file=sys.stderr, flush=True)  # noqa: T201 - processes with a log replace this
    if error is not None:
        traceback.print_exception(error)


class _Process:
    def __init__(self) -> None:
        self.report: Callable[[str, str, BaseException | None], None] = _print
        self.failed = False


_process = _Process()


def report_with(report: Callable[[str, str, BaseException | None], None]) -> None:
    """Have the end of a part written by `report(part, reason, error)`."""
    _process.report = report


def exit_status() -> int:
    """What `main` returns: 0 unless a part of the process died."""
    return int(_process.failed)


def watch_threads() -> None:
    """Hold threads that libraries start to the same rule."""
    threading.excepthook = _library_thread_died


def end_process(part: str, reason: str, error: BaseException | None = None) -> None:
    """End this process with its reason and a status that is not 0. Returns at once; callable from any thread."""
    _process.report(part, reason, error)
    if _process.failed:
        return
    _process.failed = True
    last_word = threading.Timer(STOP_SECONDS, os._exit, [FAILED])
    last_word.daemon = True
    last_word.start()
    os.kill(os.getpid(), signal.SIGTERM)


class VitalThread(threading.Thread):
    """Runs `target` as a daemon. The process ends with it, unless `until` is set or there is no `until`.

    Without `until` the work ends by itself, and only an exception ends the process.
    """

    def __init__(self, name: str, target: Callable[[], object], *, until: threading.Event | None = None) -> None:
        super().__init__(name=name, daemon=True)
        self._work = target
        self._until = until

    def run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the process must not go on without this thread
            end_process(f"the thread {self.name}", _words(error), error)
        else:
            if self._until is not None and not self._until.is_set():
                end_process(f"the thread {self.name}", UNASKED)


@contextmanager
def vital(part: str) -> Iterator[None]:
    """For what others call and whose exceptions they swallow, such as the handlers of Celery's signals."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - as above
        end_process(part, _words(error), error)


def vital_task(
    name: str, work: Coroutine[Any, Any, None], *, until: Callable[[], bool] | None = None
) -> asyncio.Task[None]:
    """As `VitalThread`, in the running event loop. A task that is cancelled was asked to end."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(partial(_task_ended, until))
    return task


def _task_ended(until: Callable[[], bool] | None, task: "asyncio.Task[None]") -> None:
    if task.cancelled():
        return
    if (error := task.exception()) is not None:
        end_process(f"the task {task.get_name()}", _words(error), error)
    elif until is not None and not until():
        end_process(f"the task {task.get_name()}", UNASKED)


def _library_thread_died(given: threading.ExceptHookArgs) -> None:
    name = given.thread.name if given.thread is not None else "unknown"
    error = given.exc_value or given.exc_type()
    end_process(f"the thread {name}", _words(error), error)


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
