"""Starts a sandbox and holds on to it."""

import json
import os
import resource
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO
from weakref import finalize

from sandbox.command import arguments
from sandbox.groups import Group, Groups
from sandbox.policy import Limits, SandboxPolicy
from sandbox.seccomp import SeccompError, filter_descriptor
from sandbox.system import MADE_UP

START_SECONDS = 20.0
"""A sandbox is built in milliseconds; one that takes this long hangs."""
OOM_SCORE_ADJUSTMENT = 800
"""The kernel, short of memory, ends a program before anything else of the machine."""
MAX_SAID_BYTES = 2000
FIRST_SIGNAL_STATUS = 128
"""Bubblewrap reports the end by a signal as this plus its number, as a shell does."""
GATE = 'read -r go && exec "$@" </dev/null'
"""Begins a program when somebody who lives says so. Bubblewrap's own end is tied to its parent's only after a moment:
a parent that is killed before would leave a sandbox behind."""
PROGRAM_PID = 2
"""Of the program inside; 1 is bubblewrap's, which reaps orphans."""


class LaunchError(Exception):
    """Why nothing of the program runs, in words."""


class SandboxProcess:
    """One sandbox. Every method may be called from any thread."""

    def __init__(self, monitor: "subprocess.Popen[bytes]", init_pid: int, group: Group | None = None) -> None:
        self._monitor = monitor
        self.group = group
        """Of all that runs inside; null where the kernel lends none."""
        self.pid = monitor.pid
        """The ancestor of everything inside; it leads its own session."""
        self.init_pid = init_pid
        """Pid 1 of the sandbox, as this machine counts: with it, everything inside ends."""
        self._pidfd = os.pidfd_open(monitor.pid)
        finalize(self, os.close, self._pidfd)
        self._init_pidfd = os.pidfd_open(init_pid)
        finalize(self, os.close, self._init_pidfd)

    def wait(self, timeout_seconds: float | None) -> bool:
        """Whether everything inside has ended, after at most `timeout_seconds`."""
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        if not all(_ended(pidfd, deadline) for pidfd in (self._init_pidfd, self._pidfd)):
            return False
        self._monitor.wait()  # reaps it
        if self.group is not None:
            self.group.close()
        return True

    @property
    def status(self) -> int | None:
        """The program's exit status, negative for the signal that ended it; null while it runs."""
        if not self.wait(0):
            return None
        status = self._monitor.returncode
        return FIRST_SIGNAL_STATUS - status if status > FIRST_SIGNAL_STATUS else status

    def stop(self) -> None:
        """Ask the program to end, by SIGTERM."""
        for pid in self.children_of_init():
            if _pid_inside(pid) == PROGRAM_PID:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)

    def kill(self) -> None:
        """End everything inside at once: the kernel leaves nothing of it."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._init_pidfd, signal.SIGKILL)
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def children_of_init(self) -> list[int]:
        """The program itself, and what it left behind."""
        with suppress(OSError):
            text = Path(f"/proc/{self.init_pid}/task/{self.init_pid}/children").read_text(encoding="ascii")
            return [int(pid) for pid in text.split()]
        return []

    def init_waits(self) -> bool:
        """Whether pid 1 has started the program and sleeps until it ends. Between the two it ties its end to ours."""
        if not self.children_of_init():
            return False
        with suppress(OSError):
            return Path(f"/proc/{self.init_pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "S"
        return False


def launch(
    policy: SandboxPolicy,
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    output: int,
    stdin: int = subprocess.DEVNULL,
    pass_fds: Sequence[int] = (),
    mark: Mapping[str, str] | None = None,
    groups: Groups | None = None,
) -> SandboxProcess:
    """Start a program. Raises `LaunchError`: nothing of it runs.

    The sandbox ends with the *thread* that calls this. A program with its own input must end where that ends
    before a first word: it may have no parent any more. `output` is a descriptor for all that it prints.
    `pass_fds` stay open inside. `mark` is shown in the environment of bubblewrap itself, so that others can find what
    a killed parent left. With `groups`, the kernel also limits everything inside together.
    """
    bubblewrap = shutil.which("bwrap")
    if bubblewrap is None:
        raise LaunchError("bubblewrap is not installed")
    with ExitStack() as stack:
        try:
            group = groups.make(policy.limits) if groups is not None else None
            kept = stack.enter_context(ExitStack())
            if group is not None:
                kept.callback(group.close)
            process = _launched(
                stack, bubblewrap, policy, argv, environment, output, stdin, pass_fds, dict(mark or {}), group
            )
            kept.pop_all()
            return process
        except (OSError, SeccompError) as error:
            raise LaunchError(str(error)) from error


def _launched(
    stack: ExitStack,
    bubblewrap: str,
    policy: SandboxPolicy,
    argv: Sequence[str],
    environment: Mapping[str, str],
    output: int,
    stdin: int,
    pass_fds: Sequence[int],
    mark: dict[str, str],
    group: Group | None,
) -> SandboxProcess:
    data = {path: _file_of(stack, text.encode()) for path, text in MADE_UP.items()}
    rules = filter_descriptor()
    stack.callback(os.close, rules)
    # By a descriptor, since everybody inside can read the command line.
    options = _file_of(stack, "\0".join([*arguments(policy, environment, data), "--seccomp", str(rules)]).encode())
    gate, opens = _pipe(stack)
    if is_gated := stdin == subprocess.DEVNULL:
        stdin, argv = gate.fileno(), ["/bin/sh", "-c", GATE, "sh", *argv]
    told, tells = _pipe(stack)
    held, releases = _pipe(stack)
    given = ["--args", str(options), "--info-fd", str(tells.fileno()), "--block-fd", str(held.fileno())]
    monitor = subprocess.Popen(
        [bubblewrap, *given, "--", *argv],
        stdin=stdin,
        stdout=output,
        stderr=output,
        env=mark,
        cwd="/",
        start_new_session=True,
        pass_fds=(*pass_fds, *data.values(), rules, options, tells.fileno(), held.fileno()),
    )
    for end in (tells, gate):
        end.close()
    try:
        init_pid = _pid_of(told.fileno(), output)
        process = SandboxProcess(monitor, init_pid, group)
        if group is not None:
            group.add(init_pid)
        _limit(init_pid, policy.limits)
        os.write(releases.fileno(), b"y")
        if is_gated:
            _await_program(process)
            os.write(opens.fileno(), b"go\n")
    except BrokenPipeError:
        pass  # it ended immediately, and its status shows how
    except BaseException:
        monitor.kill()
        monitor.wait()
        raise
    return process


def _ended(pidfd: int, deadline: float | None) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000))


def _await_program(process: SandboxProcess) -> None:
    """Until pid 1 has started it and has tied its own end to ours."""
    deadline = time.monotonic() + START_SECONDS
    while not process.init_waits() and not process.wait(0.001):
        if time.monotonic() > deadline:
            raise LaunchError("bubblewrap did not start the program")


def _pid_of(told: int, output: int) -> int:
    """What bubblewrap says of the sandbox that it made; it waits for permission before the program begins."""
    said = b""
    poll = select.poll()
    poll.register(told, select.POLLIN)
    while poll.poll(START_SECONDS * 1000) and (part := os.read(told, 4096)):
        said += part
    try:
        return int(json.loads(said)["child-pid"])
    except (ValueError, KeyError):
        raise LaunchError(_last_words(output) or "bubblewrap did not start") from None


def _last_words(output: int) -> str:
    with suppress(OSError):
        size = os.fstat(output).st_size
        start = max(0, size - MAX_SAID_BYTES)
        return os.pread(output, MAX_SAID_BYTES, start).decode("utf-8", "backslashreplace").strip()
    return ""


def _limit(pid: int, limits: Limits) -> None:
    """What everything inside inherits, since only pid 1 exists yet."""
    for kind, value in _resources(limits):
        _, hard = resource.prlimit(pid, kind)
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.prlimit(pid, kind, (most, most))
    with suppress(OSError):  # one that is higher already stays so
        Path(f"/proc/{pid}/oom_score_adj").write_text(str(OOM_SCORE_ADJUSTMENT), encoding="ascii")


def _resources(limits: Limits) -> Iterator[tuple[int, int]]:
    yield resource.RLIMIT_CORE, 0
    yield resource.RLIMIT_NOFILE, limits.open_files
    yield resource.RLIMIT_MSGQUEUE, 0
    yield resource.RLIMIT_SIGPENDING, limits.pending_signals
    if limits.processes is not None:
        yield resource.RLIMIT_NPROC, limits.processes
    if limits.file_bytes is not None:
        yield resource.RLIMIT_FSIZE, limits.file_bytes
    if limits.data_bytes is not None:
        yield resource.RLIMIT_DATA, limits.data_bytes


def _pid_inside(pid: int) -> int | None:
    """What a process is called in its own namespace."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("NSpid:"):
                return int(line.split()[-1])
    return None


def _file_of(stack: ExitStack, content: bytes) -> int:
    descriptor = os.memfd_create("sandbox", os.MFD_CLOEXEC)
    stack.callback(os.close, descriptor)
    os.write(descriptor, content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _pipe(stack: ExitStack) -> tuple[IO[bytes], IO[bytes]]:
    reads, writes = os.pipe()
    return stack.enter_context(os.fdopen(reads, "rb", 0)), stack.enter_context(os.fdopen(writes, "wb", 0))
