"""A worker of a lab on another machine: joins once, opens the tunnel, and keeps the worker alive."""

import asyncio
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from urllib.parse import quote

from gpulab.threads import VitalThread
from server.child_process import FolderInUseError, FolderLock
from server.embedded.place import EmbeddedError, socket_folder
from server.joining.join_line import JoinLine
from server.joining.membership import FILE, Membership
from server.joining.protocol import Answer, Purpose, Refusal
from server.joining.tunnel import SOCKETS, ForeignLabError, RefusedError, Tunnel, UnreachableError, ask
from server.log_files import bound_log
from server.supervision import ChildKeepsDyingError, Keeper, LabProcess, SignalPipe, Stopped
from server.up import CHECKOUT

PRIVATE = 0o700
LOOK_SECONDS = 5.0
REMIND_SECONDS = 60.0
OWN = ("GPULAB_JOIN",)
"""What the worker has no use for."""
_FOREIGN = (
    "the lab at {address} shows another certificate than the join line names. It is another lab, or another machine "
    "answers in its place. Join with the line that `gpulab share` prints on the lab's machine"
)
_UNREACHABLE = (
    "{why}. Check that the lab runs with --share, and that no firewall blocks it. If its address changed, join again "
    "with the line that `gpulab share` prints there"
)
_WITHDRAWN = "{why}. To join again, remove {file} and use a join line"


class JoinError(Exception):
    """This machine cannot be part of the lab; the message says why and what to do."""

    def __init__(self, message: str, *, is_final: bool = True) -> None:
        super().__init__(message)
        self.is_final = is_final
        """Whether another try without a change is of no use."""


def join(folder: Path, line: JoinLine | None, node: str | None, say: Callable[[str], None]) -> Membership:
    """The membership that the folder has, or a new one by the line. Raises `JoinError` and `MembershipError`."""
    known = Membership.load(folder)
    if known is not None and node not in {None, known.node}:
        raise JoinError(
            f"{folder} belongs to a worker that joined as {known.node}: leave --name out, or use another --data"
        )
    if known is not None and line is not None and line.fingerprint == known.pinned:
        # The lab may have moved; the machine is known there.
        known = known.model_copy(update={"address": str(line.address)})
    elif line is not None:
        known = _joined_by(line, node or socket.gethostname(), say)
    elif known is None:
        raise JoinError(f"{folder} has not joined a lab: give the line that `gpulab up --share` printed")
    known.save(folder)
    return known


def _joined_by(line: JoinLine, node: str, say: Callable[[str], None]) -> Membership:
    try:
        answer = ask(line.address, line.fingerprint, node, Purpose.JOIN, line.secret)
    except (RefusedError, UnreachableError, ForeignLabError) as error:
        raise _in_words(error, str(line.address)) from error
    if answer.message:
        say(answer.message)
    say(f"Joined the lab at {line.address} as {node}.")
    return Membership(
        address=str(line.address), fingerprint=line.fingerprint.hex(), node=node, token=answer.token or ""
    )


def _in_words(error: Exception, address: str) -> JoinError:
    if isinstance(error, ForeignLabError):
        return JoinError(_FOREIGN.format(address=address))
    if isinstance(error, UnreachableError):
        return JoinError(_UNREACHABLE.format(why=error), is_final=False)
    passes = isinstance(error, RefusedError) and error.refusal is Refusal.AWAY
    return JoinError(str(error), is_final=not passes)


class JoinedWorker:
    """The worker in `folder`, and its way to the lab."""

    def __init__(self, folder: Path, membership: Membership, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._membership = membership
        self._say = say
        self._refused: JoinError | None = None
        self._said_at = 0.0
        self._is_open = threading.Event()
        self._settings: Mapping[str, str] = {}
        """Of the lab."""

    def run(self, environment: Mapping[str, str]) -> None:
        """Until a signal asks for the end. Raises `JoinError`."""
        lock = FolderLock(self._folder / "worker.lock")
        with SignalPipe() as signals:
            try:
                lock.acquire()
                self._await_lab(signals)
                self._work(signals, environment)
            except Stopped:
                self._say("Stopping.")
            except FolderInUseError as error:
                raise JoinError(f"another worker runs on {self._folder} (pid {error.pid})") from error
            except (ChildKeepsDyingError, EmbeddedError) as error:
                raise JoinError(str(error)) from error
            finally:
                lock.release()

    def _await_lab(self, signals: SignalPipe) -> None:
        """Return once the lab says that this machine is welcome."""
        known = self._membership
        while True:
            try:
                answer = ask(known.lab, known.pinned, known.node, Purpose.CHECK, known.token)
            except (RefusedError, UnreachableError, ForeignLabError) as error:
                self._hear(error)
            else:
                self._welcomed(answer)
                return
            if self._refused is not None:
                raise self._refused
            signals.wait(LOOK_SECONDS)

    def _welcomed(self, answer: Answer) -> None:
        if answer.message:
            self._say(answer.message)
        self._settings = answer.settings

    def _work(self, signals: SignalPipe, environment: Mapping[str, str]) -> None:
        sockets = self._open_tunnel()
        env = self._environment(environment, sockets)
        log = self._folder / "logs" / "worker.log"
        log.parent.mkdir(mode=PRIVATE, exist_ok=True)
        grace_seconds = float(env.get("GPULAB_STOP_GRACE_SECONDS", "10")) + 10
        worker = LabProcess([sys.executable, "-m", "worker"], log, env, CHECKOUT, grace_seconds)
        keeper = Keeper("worker", worker, self._say)
        self._say(f"Starting the worker of {self._membership.node}. Its log: {log}")
        try:
            worker.start()
            while self._refused is None:
                signals.wait(1.0)
                keeper.tend(time.monotonic())
                bound_log(log)
            raise self._refused
        finally:
            worker.stop()

    def _open_tunnel(self) -> Path:
        folder = socket_folder(self._folder, max(SOCKETS.values(), key=len))
        folder.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        if folder.lstat().st_uid != os.geteuid():
            raise JoinError(f"{folder} belongs to another user: remove it")
        folder.chmod(PRIVATE)
        known = self._membership
        tunnel = Tunnel(folder, known.lab, known.pinned, known.node, known.token, self._hear)
        VitalThread("tunnel", partial(asyncio.run, tunnel.serve(self._is_open.set)), until=threading.Event()).start()
        self._is_open.wait(LOOK_SECONDS)
        return folder

    def _hear(self, error: Exception) -> None:
        """Why the lab could not be reached. What passes by itself is said now and then."""
        said = _in_words(error, self._membership.address)
        if isinstance(error, RefusedError) and error.refusal is Refusal.TOKEN:
            said = JoinError(_WITHDRAWN.format(why=said, file=self._folder / FILE))
        if said.is_final:
            self._refused = said
        elif time.monotonic() > self._said_at + REMIND_SECONDS or not self._said_at:
            self._said_at = time.monotonic()
            self._say(f"Waiting for the lab: {said}")

    def _environment(self, environment: Mapping[str, str], sockets: Path) -> dict[str, str]:
        given = {name: value for name, value in environment.items() if name not in OWN}
        return {
            **given,
            **self._settings,
            "DATABASE_URL": f"postgresql://gpulab@/gpulab?host={quote(str(sockets), safe='')}",
            "REDIS_URL": f"unix://{quote(str(sockets / SOCKETS[Purpose.REDIS]))}",
            "GPULAB_ARTIFACTS_URL": f"joined://{quote(str(sockets / SOCKETS[Purpose.STORE]))}",
            "GPULAB_NODE": self._membership.node,
            "GPULAB_NODE_TOKEN": self._membership.token,
            "PYTHONUNBUFFERED": "1",
        }
