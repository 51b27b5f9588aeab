"""Processes of a test's lab start from templates: processes that have imported everything already, and fork.

The imports are most of what it costs to start a lab. A forked process runs the same `main` with the same environment
as `python -m` would. Of what `gpulab up` starts only the zygotes are forked, and those not in every test. A process
whose environment needs another interpreter is not forked.
"""

import atexit
import ctypes
import gc
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from select import POLLIN, poll
from selectors import EVENT_READ, DefaultSelector
from typing import IO, Any

from emulator.loading import real_driver
from server.child_process import die_with_parent, spawn, tail

ROOT = Path(__file__).parent.parent
MAX_MESSAGE_BYTES = 2**17
MAX_FDS = 8
SERVICES = ("api.__main__", "scheduler.__main__", "worker.__main__")
ZYGOTE = ("experiments.hosting.zygote", "experiments.hosting.warm")
COMMANDS = ("gpulab.__main__", "gpulab.client", "server.commands", "server.local_run")
MARKER = "GPULAB_ZYGOTE"
"""The mark of a zygote, by which the worker finds the processes of its runs: see `worker/runs/orphans.py`."""
MARK_BYTES = 1024
READ_AT_RUN_TIME = ("GPULAB_", "PYTEST_", "DATABASE_URL", "REDIS_URL")
ZYGOTES_VARIABLE = "GPULAB_TESTS_ZYGOTES"
HOOK = Path(__file__).parent / "zygote_hook"


class Forked(subprocess.Popen[bytes]):
    """A process that a template forked, and that it waits for; used as any other."""

    def __init__(self, address: str, request: Mapping[str, Any], fds: Sequence[int]) -> None:
        self.args = request["main"]
        self.returncode = None
        self._template = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._template.connect(address)
            socket.send_fds(self._template, [json.dumps(request).encode()], fds)
            self.pid = json.loads(self._template.recv(MAX_MESSAGE_BYTES))
        except (OSError, ValueError) as error:
            raise RuntimeError(f"the template has ended:\n{tail(Path(address + '.log'), 30)}") from error

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            ends = poll()
            ends.register(self._template, POLLIN)
            if not ends.poll(None if timeout is None else timeout * 1000):
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            said = self._template.recv(MAX_MESSAGE_BYTES)
            # Where the template itself was killed, so was this process.
            self.returncode = json.loads(said) if said else -signal.SIGKILL
            self._template.close()
        return self.returncode

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)

    def __del__(self) -> None:
        self._template.close()


class Templates:
    """Those of one pytest process. They start when they are first needed, and end with it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="gpulab-templates-"))
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        self._environment = _fixed(environment)

    def start(self, module: str, arguments: Sequence[str], *, log: IO[bytes], env: Mapping[str, str]) -> Forked | None:
        """`python -m module arguments`; None where a template cannot stand in for a fresh interpreter."""
        main = f"{module}.__main__"
        if main not in SERVICES or not self.stand_in_for(env):
            return None
        own = self._zygotes() if module == "worker" else {}
        return self._fork(self.address("services", SERVICES), main, arguments, log, {**env, **own})

    def program(self, module: str, *arguments: str, log: IO[bytes], env: Mapping[str, str] = os.environ) -> Forked:
        """As `start`, of any module with a `main`, which gets a template of its own."""
        return self._fork(self.address(module, [module]), module, arguments, log, env)

    def _fork(
        self, address: str, main: str, arguments: Sequence[str], log: IO[bytes], env: Mapping[str, str]
    ) -> Forked:
        request = {"main": main, "argv": [main, *arguments], "env": {**env}}
        return Forked(address, request, [log.fileno(), log.fileno()])

    def command(self, modules: Sequence[str]) -> list[str]:
        """How a command line begins, in place of `python -m MODULE`: the first of the modules, which has a `main`."""
        program = Path(__file__).with_name("forked_program.py")
        return [sys.executable, "-I", "-S", str(program), self.address(modules[0], modules), modules[0]]

    def with_zygotes(self, env: Mapping[str, str]) -> dict[str, str]:
        """An environment for programs that start workers themselves, as `gpulab up` does: only zygotes are forked."""
        return {**env, **self._zygotes(), "PYTHONPATH": f"{HOOK}:{self._environment['PYTHONPATH']}"}

    def _zygotes(self) -> dict[str, str]:
        """Where a real GPU is, those of the template would not see it."""
        return {ZYGOTES_VARIABLE: self.address("zygote", ZYGOTE)} if real_driver() is None else {}

    def stand_in_for(self, env: Mapping[str, str]) -> bool:
        """Whether all that an interpreter reads when it starts, or a linker, is as in the templates."""
        return _fixed(env) == self._environment and not env.get("GPULAB_EMULATE")

    def address(self, name: str, modules: Sequence[str]) -> str:
        """Where the template of these modules is asked."""
        address = str(self._folder / name)
        if name not in self._started:
            log = self._folder / f"{name}.log"
            # Room for a mark; what libgomp reads when torch is loaded.
            own = {MARKER: " " * MARK_BYTES, "OMP_WAIT_POLICY": "PASSIVE"}
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener, log.open("ab") as output:
                listener.bind(address)
                listener.listen()
                os.set_inheritable(listener.fileno(), True)
                self._started[name] = spawn(
                    [sys.executable, "-m", "tests.templates", str(listener.fileno()), *modules],
                    log=output,
                    death_signal=signal.SIGKILL,
                    env={**self._environment, **own},
                    cwd=ROOT,
                    pass_fds=[listener.fileno()],
                )
        return address

    def stop(self) -> None:
        for process in self._started.values():
            process.kill()
            process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def _fixed(environment: Mapping[str, str]) -> dict[str, str]:
    """What no process reads again after its start."""
    return {name: value for name, value in environment.items() if not name.startswith(READ_AT_RUN_TIME)}


class _Template:
    """The template's own side: forks on request, and reports how each fork ended."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._selector = DefaultSelector()
        self._selector.register(listener, EVENT_READ)
        getenv = ctypes.CDLL(None).getenv
        getenv.restype = ctypes.c_void_p
        self._mark_at: int = getenv(MARKER.encode())

    def serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    self._fork(self._listener.accept()[0])
                else:
                    self._report(key.fd, *key.data)

    def _fork(self, asker: socket.socket) -> None:
        data, fds, _, _ = socket.recv_fds(asker, MAX_MESSAGE_BYTES, MAX_FDS)
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            die_with_parent(parent, signal.SIGKILL)
            self._forget_the_others(asker)
            _become(json.loads(data), fds, self._mark_at)
        for fd in fds:
            os.close(fd)
        self._selector.register(os.pidfd_open(pid), EVENT_READ, (pid, asker))
        asker.send(json.dumps(pid).encode())

    def _forget_the_others(self, asker: socket.socket) -> None:
        for key in list(self._selector.get_map().values()):
            if key.data is not None:
                key.data[1].close()
                os.close(key.fd)
        self._selector.close()
        self._listener.close()
        asker.close()

    def _report(self, pidfd: int, pid: int, asker: socket.socket) -> None:
        self._selector.unregister(pidfd)
        os.close(pidfd)
        _, status = os.waitpid(pid, 0)
        with suppress(OSError):  # nobody waits for it any more
            asker.send(json.dumps(os.waitstatus_to_exitcode(status)).encode())
        asker.close()


def _become(request: Mapping[str, Any], fds: list[int], mark_at: int) -> None:
    """On the other side of the fork; does not return. The first two descriptors are its output, the last its input."""
    status = 1
    try:
        os.setsid()
        os.dup2(fds.pop() if request.get("has_input") else os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(fds[0], 1)
        os.dup2(fds[1], 2)
        if "folder" in request:
            os.chdir(request["folder"])
            _open_streams()
        os.environ.clear()
        os.environ.update(request["env"])
        # What others read as this process's environment.
        mark = request["env"].get(MARKER, "").encode()
        ctypes.memmove(mark_at, mark.ljust(MARK_BYTES, b"\0"), MARK_BYTES)
        time.tzset()
        sys.argv = request["argv"]
        take_zygotes()
        status = import_module(request["main"]).main(*fds[2:], *request.get("arguments", ())) or 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - as an interpreter would
        traceback.print_exc()
    finally:
        threading._shutdown()  # type: ignore[attr-defined] # as an interpreter's end
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _open_streams() -> None:
    """As an interpreter would. Those of the template remember what its own output can do, such as to seek."""
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - it has no path, and no end before ours
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - same
    sys.stderr = open(2, "w", buffering=1, encoding="utf-8", closefd=False)  # noqa: SIM115 - same


def take_zygotes() -> None:
    """Have this worker's zygotes forked from their template, where the environment names one."""
    address = os.environ.pop(ZYGOTES_VARIABLE, None)
    if address is None:
        return
    from worker.runs import zygote

    fresh = zygote._spawn

    def forked(control: int, ready: int, marker: str, preload: str, purpose: str) -> "subprocess.Popen[bytes]":
        if preload != zygote.PRELOAD or purpose != "predicts":
            return fresh(control, ready, marker, preload, purpose)
        request = {
            "main": ZYGOTE[0],
            "argv": [ZYGOTE[0]],
            "arguments": [preload, purpose],
            "env": {"OMP_WAIT_POLICY": "PASSIVE", **os.environ, MARKER: marker},
        }
        return Forked(address, request, [1, 2, control, ready])

    zygote._spawn = forked


def _main(listener: str, *modules: str) -> None:
    template = _Template(socket.socket(fileno=int(listener)))
    gc.disable()
    for module in modules:
        import_module(module)
        if module == ZYGOTE[0]:
            import_module(module)._emulate()  # before torch
    gc.collect()
    gc.freeze()
    gc.enable()
    template.serve()


if __name__ == "__main__":
    _main(*sys.argv[1:])
