"""Separate processes for the emulated card: each prediction starts from a fresh one, and none sees a real driver.

A process that has the emulated driver and has not used it yet can be forked for each run; the worker's zygote is one,
and so are the jobs forked from it until they begin. Any other process starts one beside itself, which takes seconds,
and keeps it.
"""

import atexit
import ctypes
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from threading import Lock
from typing import Any, Protocol, TypeVar

from emulator import BuildError, RefusedError
from emulator.build import build
from emulator.loading import preload

PR_SET_PDEATHSIG = 1
CORES = os.cpu_count() or 1
T = TypeVar("T")
_state = {"forkable": False}


class NotPredictedError(Exception):
    """Why the memory is not predicted here, in words."""


class StepsRefusedError(NotPredictedError):
    """Why a card cannot take the steps, in words: the card's own answer, whatever the machine that asked it."""


class Pending(Protocol):
    """A call that is under way elsewhere."""

    def result(self) -> Any:
        """Its result. Raises `ValueError` as the call did, and `NotPredictedError` for everything else."""


def allow_forks() -> None:
    """This process has the emulated driver, and nothing has used it."""
    _state["forkable"] = True


def take_emulated_driver() -> None:
    """Have the emulated driver from now on, before torch is imported; without one, say why nothing is predicted."""
    try:
        preload()
    except (BuildError, RefusedError) as error:
        print(f"GPU memory is not predicted here: {error}", file=sys.stderr)  # noqa: T201 - the program's own log
    else:
        allow_forks()


def can_fork() -> bool:
    """Whether children of this process can have an emulated card."""
    torch = sys.modules.get("torch")
    return _state["forkable"] and not (torch and torch.cuda.is_initialized())


def call(function: Callable[..., T], *arguments: Any) -> T:
    """The result of a function that forks processes for emulated cards; from any process. Raises as `Pending`."""
    if can_fork():
        return function(*arguments)
    found: T = begin(function, *arguments).result()
    return found


def begin(function: Callable[..., Any], *arguments: Any) -> Pending:
    """As `call`, without waiting."""
    return Child(function, *arguments) if can_fork() else _beside().begin(function, *arguments)


def each(function: Callable[..., T], every: Iterable[tuple[Any, ...]], max_parallel: int = CORES) -> Iterator[T]:
    """The results of calls in children of this process, in order; at most `max_parallel` run at a time."""
    waiting = deque(enumerate(every))
    running: dict[Child, int] = {}
    found: dict[int, T] = {}
    try:
        for place in range(len(waiting)):
            while place not in found:
                while waiting and len(running) < max_parallel:
                    number, arguments = waiting.popleft()
                    running[Child(function, *arguments)] = number
                for child in _ended(running):
                    number = running.pop(child)
                    found[number] = child.result()
            yield found.pop(place)
    finally:
        for child in running:
            child.end()


def _ended(running: Iterable["Child"]) -> "list[Child]":
    """Those that have answered or died, of at least one."""
    ready = wait([child.results for child in running])
    return [child for child in running if child.results in ready]


class Child:
    """A function in a forked child. The child ends with its parent."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.results, theirs = Pipe(duplex=False)
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                self.results.close()
                _end_with(parent)
                _answer(theirs, function, arguments)
            finally:
                # Whatever happened: nothing of the parent's work goes on in the child.
                os._exit(0)
        theirs.close()

    def result(self) -> Any:
        try:
            kind, found = self.results.recv()
        except EOFError:
            kind, found = "failed", "the process of the prediction died"
        os.waitpid(self._pid, 0)
        self.results.close()
        return _opened(kind, found)

    def end(self) -> None:
        """Without a result."""
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        self.results.close()


class _Beside:
    """A process with the emulated driver beside one that cannot have it."""

    def __init__(self) -> None:
        self._calls, theirs = Pipe()
        self._lock = Lock()
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="prediction")
        with theirs:
            command = [sys.executable, "-m", "experiments.memory.warm", str(theirs.fileno())]
            environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, env=environment, pass_fds=[theirs.fileno()]
            )
        atexit.register(self._end)

    def begin(self, function: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        return self._threads.submit(self._ask, function, arguments)

    def _end(self) -> None:
        self._calls.close()
        self._process.kill()
        self._process.wait()

    def _ask(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        with self._lock:
            try:
                self._calls.send((function, arguments))
                kind, found = self._calls.recv()
            except (EOFError, OSError) as error:
                raise NotPredictedError("the process of the prediction died") from error
        return _opened(kind, found)


@cache
def _beside() -> _Beside:
    try:
        build()
    except BuildError as error:
        raise NotPredictedError(str(error)) from None
    return _Beside()


def serve(calls: Connection) -> None:
    """Answer calls until the other end is closed."""
    while True:
        try:
            function, arguments = calls.recv()
        except EOFError:
            return
        _answer(calls, function, arguments)


def _answer(results: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        answer = "done", function(*arguments)
    except ValueError as error:
        answer = "invalid", str(error)
    except StepsRefusedError as error:
        answer = "refused", str(error)
    except Exception as error:  # noqa: BLE001 - whatever a model raises is the answer
        answer = "failed", f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    results.send(answer)


def _opened(kind: str, found: Any) -> Any:
    if kind == "invalid":
        raise ValueError(found)
    if kind == "refused":
        raise StepsRefusedError(found)
    if kind == "failed":
        raise NotPredictedError(found)
    return found


def _end_with(parent: int) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Torch warns of every request that finds no room. Here that is an answer, and not an incident.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
