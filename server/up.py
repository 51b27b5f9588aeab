"""`gpulab up`: a whole lab on one machine. Starts every process, keeps it alive, stops all of it in order.

Everything lives in one folder: `postgres/` and `redis/` (unless DATABASE_URL or REDIS_URL name your own servers),
`artifacts/`, `runs/`, `cache/`, `datasets/`, `logs/<process>.log`, and `admin.token`.
"""

import importlib.util
import os
import socket
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gpulab.proxies import spare_loopback
from server.backups import BackupPlan, DailyBackup
from server.child_process import FolderInUseError, FolderLock
from server.embedded import EmbeddedError, EmbeddedPostgres, EmbeddedRedis, postgres_binaries, redis_binary
from server.folder_trouble import refused_by_system, try_to_write
from server.https import Certificate, CertificateError
from server.joining.sharing import Sharing, answers, prepared
from server.log_files import bound_log
from server.supervision import (
    ChildKeepsDyingError,
    ChildRefusedError,
    Keeper,
    LabProcess,
    SignalPipe,
    Stopped,
    Supervised,
    run_once,
)

CHECKOUT = Path(__file__).resolve().parents[1]
PRIVATE = 0o700
READY_SECONDS = 120.0
MIGRATION_SECONDS = 300.0
LOG_LOOK_SECONDS = 60.0
MAX_NOTES = 3
"""Processes at a time that keep what died."""
_NEEDED = ("api", "scheduler", "worker", "migrations", "gate", "fastapi", "celery", "sqlalchemy", "psycopg", "torch")
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # compared with, not bound to


class LabError(RuntimeError):
    """The lab cannot come up or stay up; the message says why and what to do."""


class LabRefusedError(LabError):
    """A setting is wrong: another start would not help."""


@dataclass(frozen=True)
class LabOptions:
    folder: Path
    host: str = "127.0.0.1"
    port: int = 8000
    """0 takes a free one."""
    slots: int | None = None
    """CPU jobs at once; the worker's own default where absent."""
    datasets: Path | None = None
    emulate: str | None = None
    """Cards that this machine pretends to have, as `T4,T4`."""
    backup: BackupPlan | None = None
    sharing: Sharing | None = None
    """Where machines may join; None where only this machine works."""
    certificate: Certificate | None = None
    """For HTTPS."""


@dataclass(frozen=True)
class Ready:
    """How to reach the lab that is now up."""

    url: str
    token_file: Path
    folder: Path
    seconds: float
    """From the start of the command to the first good answer of `/readyz`."""
    join_line: str | None = None


class LocalLab:
    def __init__(self, options: LabOptions, say: Callable[[str], None]) -> None:
        self.folder = options.folder.absolute()
        self.logs = self.folder / "logs"
        self.token_file = self.folder / "admin.token"
        self._options = options
        self._say = say
        self._keepers: list[Keeper] = []
        self._backup: DailyBackup | None = None
        self._env: dict[str, str] = {}
        self._notes: list[LabProcess] = []
        self._logs_bounded_at = time.monotonic()
        self._join_line: str | None = None
        self._certificate_name: str | None = None

    def run(self, on_ready: Callable[[Ready], None]) -> None:
        """Bring the lab up, report it, and stay until a signal asks for the end. Raises `LabError`."""
        started = time.monotonic()
        os.umask(0o077)
        self._make_folder()
        lock = FolderLock(self.folder / "lab.lock")
        with SignalPipe() as signals:
            try:
                self._take(lock)
                self._start(signals)
                self._await_ready(signals)
                seconds = time.monotonic() - started
                on_ready(Ready(self.url, self.token_file, self.folder, seconds, self._join_line))
                while True:
                    self._tend(signals, 1.0)
                    if self._backup is not None:
                        self._backup.tend(datetime.now(UTC))
            except Stopped:
                self._say("Stopping.")
            except ChildRefusedError as error:
                raise LabRefusedError(str(error)) from error
            except (EmbeddedError, ChildKeepsDyingError, FolderInUseError, CertificateError) as error:
                raise LabError(str(error)) from error
            except OSError as error:
                raise LabError(refused_by_system(error, self.folder)) from error
            finally:
                self._stop()
                lock.release()

    @property
    def url(self) -> str:
        """For users, who reach a lab with a certificate under the name that it is for."""
        name = self._certificate_name
        return self._local_url if name is None else f"https://{name}:{self._port}"

    @property
    def _local_url(self) -> str:
        host = _WILDCARDS.get(self._options.host, self._options.host)
        scheme = "http" if self._options.certificate is None else "https"
        return f"{scheme}://[{host}]:{self._port}" if ":" in host else f"{scheme}://{host}:{self._port}"

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name in ("logs", "artifacts", "runs", "cache", "datasets"):
                (self.folder / name).mkdir(exist_ok=True)
                # PostgreSQL's account may pass through the lab's own folder, and so may everybody.
                (self.folder / name).chmod(PRIVATE)
            try_to_write(self.folder)
        except OSError as error:
            raise LabError(f"{refused_by_system(error, self.folder)}. Choose another with --data") from error

    def _take(self, lock: FolderLock) -> None:
        try:
            lock.acquire()
        except FolderInUseError as error:
            raise LabError(
                f"another lab is running on {self.folder} (pid {error.pid}): stop it, or choose another --data"
            ) from None
        self._port = free_port(self._options.host, self._options.port)
        if (sharing := self._options.sharing) is not None:
            _require_own_servers()
            self._share_port = free_port(sharing.host, sharing.port, "--share-port or --share-host")
        if self._options.certificate is not None:
            self._certificate_name = self._options.certificate.name()
        _require_lab_processes()
        if (datasets := self._options.datasets) is not None and not datasets.is_dir():
            self._say(f"{datasets} is no folder yet: there are no data sets until it is")

    def _start(self, signals: SignalPipe) -> None:
        self._env = env = self._environment()
        self._once("settings", env, signals, 60.0, "migrations.check_settings")
        self._start_servers(env)
        self._once("migrations", env, signals, MIGRATION_SECONDS, "migrations")
        self._once("admin", env, signals, 60.0, "api.admin", "--token-file", str(self.token_file))
        worker_grace_seconds = float(env.get("GPULAB_STOP_GRACE_SECONDS", "10")) + 10
        self._keep("scheduler", self._lab_process("scheduler", env, "scheduler"))
        self._keep("worker", self._lab_process("worker", env, "worker", grace_seconds=worker_grace_seconds))
        address: tuple[str, ...] = ("--host", self._options.host, "--port", str(self._port))
        if self._options.certificate is not None:
            address += self._options.certificate.arguments
        self._keep("api", self._lab_process("api", env, "api", *address, grace_seconds=15.0))
        if (sharing := self._options.sharing) is not None:
            self._share(sharing, env)
        if (plan := self._options.backup) is not None:
            argv = ("migrations.backup", "--keep", str(plan.keep), str(plan.folder.absolute()))
            zone = datetime.now().astimezone().tzname()
            self._say(f"Backing up to {plan.folder} every day at {plan.at:%H:%M} {zone}")
            self._backup = DailyBackup(plan, self._lab_process("backup", env, *argv), self._say)

    def _share(self, sharing: Sharing, env: dict[str, str]) -> None:
        folder = self.folder / "share"
        try:
            self._join_line = str(prepared(folder, sharing.host, self._share_port).line)
        except (OSError, ValueError) as error:
            raise LabError(f"{folder} cannot be used: {error}") from error
        where = ("--folder", str(folder), "--host", sharing.host, "--port", str(self._share_port))
        self._keep("gate", self._lab_process("gate", env, "gate", *where))

    def _start_servers(self, env: dict[str, str]) -> None:
        if "DATABASE_URL" not in env:
            postgres = EmbeddedPostgres(self.folder / "postgres", log_path=self._log("postgres"))
            self._keep("postgres", postgres)
            env["DATABASE_URL"] = postgres.url
        if "REDIS_URL" not in env:
            redis = EmbeddedRedis(self.folder / "redis", log_path=self._log("redis"))
            self._keep("redis", redis)
            env["REDIS_URL"] = redis.url

    def _environment(self) -> dict[str, str]:
        """Ours, with this lab's folders where nothing else is set; options win over both."""
        env = dict(os.environ)
        datasets = self._options.datasets
        env.setdefault("GPULAB_ARTIFACTS_URL", (self.folder / "artifacts").as_uri())
        env.setdefault("GPULAB_RUNS_FOLDER", str(self.folder / "runs"))
        env.setdefault("GPULAB_CACHE_FOLDER", str(self.folder / "cache"))
        env.setdefault("GPULAB_DATASETS_FOLDER", str(self.folder / "datasets"))
        if self._options.backup is not None:
            env["GPULAB_BACKUP_FOLDER"] = str(self._options.backup.folder.absolute())
        if datasets is not None:
            env["GPULAB_DATASETS_FOLDER"] = str(datasets.absolute())
        if self._options.slots is not None:
            env["GPULAB_SLOTS"] = str(self._options.slots)
        if self._options.emulate is not None:
            env["GPULAB_EMULATE"] = self._options.emulate
        env["GPULAB_LAB_FOLDER"] = str(self.folder)
        env["PYTHONUNBUFFERED"] = "1"
        spare_loopback(env)
        return env

    def _lab_process(
        self, name: str, env: dict[str, str], module: str, *args: str, grace_seconds: float = 5.0
    ) -> LabProcess:
        return LabProcess([sys.executable, "-m", module, *args], self._log(name), env, CHECKOUT, grace_seconds)

    def _once(self, name: str, env: dict[str, str], signals: SignalPipe, timeout_seconds: float, *args: str) -> None:
        run_once(name, self._lab_process(name, env, *args), signals, timeout_seconds)

    def _log(self, name: str) -> Path:
        path = self.logs / f"{name}.log"
        bound_log(path)
        return path

    def _keep(self, name: str, child: Supervised) -> None:
        self._say(f"Starting {name}")
        child.start()
        self._keepers.append(Keeper(name, child, self._say, self._note_death))

    def _note_death(self, name: str, how: str) -> None:
        """For `gpulab errors`: a separate process, because it may be the database that died."""
        self._notes = [note for note in self._notes if note.process is not None and note.process.poll() is None]
        if len(self._notes) < MAX_NOTES:
            note = self._lab_process("note", self._env, "migrations.note_death", name, how)
            # A dead process is only reported here; the keeper restarts it.
            with suppress(OSError):
                note.start()
                self._notes.append(note)

    def _tend(self, signals: SignalPipe, seconds: float) -> None:
        signals.wait(seconds)
        for keeper in self._keepers:
            keeper.tend(time.monotonic())
        if time.monotonic() > self._logs_bounded_at + LOG_LOOK_SECONDS:
            self._bound_logs()

    def _bound_logs(self) -> None:
        self._logs_bounded_at = time.monotonic()
        for keeper in self._keepers:
            bound_log(keeper.child.log_path)

    def _await_ready(self, signals: SignalPipe) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while (reason := self._unready()) is not None:
            if time.monotonic() > deadline:
                raise LabError(f"not ready after {READY_SECONDS:.0f} s ({reason}); logs are in {self.logs}")
            self._tend(signals, 0.1)
        for keeper in self._keepers:
            keeper.settled = True

    def _unready(self) -> str | None:
        if (reason := unready(self._local_url)) is not None or (sharing := self._options.sharing) is None:
            return reason
        return None if answers(sharing.host, self._share_port) else "the gate does not listen yet"

    def _stop(self) -> None:
        if self._backup is not None:
            self._backup.stop()
        for note in self._notes:
            note.stop()
        # The last started uses those before it, so it goes first.
        for keeper in reversed(self._keepers):
            keeper.child.stop()
        self._keepers.clear()


# The lab is this machine's, whatever proxy the environment names, and whatever name its certificate has.
_OPENER = urllib.request.build_opener(
    urllib.request.ProxyHandler({}),
    urllib.request.HTTPSHandler(context=ssl._create_unverified_context()),  # noqa: S323 - as above
)


def unready(url: str) -> str | None:
    """Why the lab at `url` cannot take work yet, or None when `/readyz` answers 200."""
    try:
        with _OPENER.open(f"{url}/readyz", timeout=5) as answer:
            return None if answer.status == 200 else f"/readyz answers {answer.status}"
    except urllib.error.HTTPError as error:
        with error:
            return f"/readyz answers {error.code}: {error.read(500).decode(errors='replace')}"
    except OSError as error:
        return str(error)


def free_port(host: str, port: int, options: str = "--port or --host") -> int:
    """`port` if it can be listened on, a free one for 0. Raises `LabError` where it is taken."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return int(probe.getsockname()[1])
    except OSError as error:
        raise LabError(
            f"cannot listen on {host} port {port} ({error.strerror}): choose another with {options}"
        ) from error


def _require_own_servers() -> None:
    for name in ("DATABASE_URL", "REDIS_URL"):
        if name in os.environ:
            raise LabError(
                f"--share is for the lab's own PostgreSQL and Redis, and {name} is set. "
                "Workers on other machines use that address: gpulab worker"
            )


def _require_lab_processes() -> None:
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None and not (CHECKOUT / name).is_dir()]
    if missing:
        raise LabError(
            f"not installed: {', '.join(missing)}. In a checkout of the project: pip install -e '.[embedded]'"
        )
    if "DATABASE_URL" not in os.environ:
        postgres_binaries()
    if "REDIS_URL" not in os.environ:
        redis_binary()
