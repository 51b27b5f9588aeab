"""`gpulab doctor`: checks a machine before it becomes a lab, and says how to fix what is wrong."""

import ctypes
import errno
import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from server.embedded import EmbeddedError, postgres_binaries, redis_binary
from server.folder_trouble import refused_by_system
from server.open_files import MIN_COMFORTABLE, file_limits
from server.session_pooling import ADVICE, shares_sessions
from server.up import CHECKOUT, LabError, free_port, unready

OLDEST_POSTGRES = 180000
DISK_FAIL_BYTES = 2 * 2**30
DISK_WARN_BYTES = 10 * 2**30
MIN_INODES = 100_000
"""Of a program and its runs; a disk without any refuses files although it has room."""
CLOCK_WARN_SECONDS = 2.0
_TORCH_SECONDS = 180.0
_EXTRAS = {
    "server": ("alembic", "celery", "fastapi", "obstore", "psycopg", "redis", "sqlalchemy", "structlog", "uvicorn"),
    "worker": ("matplotlib", "numpy", "PIL", "psutil", "pynvml", "sklearn", "torch", "torchvision"),
}
_SANDBOX_SECONDS = 60.0


class Status(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    check: str
    status: Status
    found: str
    mend: str | None = None
    """How to fix it; null if there is nothing to fix."""


@dataclass(frozen=True)
class Examined:
    """What is looked at: the same values that `gpulab up` would be given."""

    folder: Path
    host: str
    port: int


def examine(what: Examined) -> Iterator[Finding]:
    """Every finding in turn, each as soon as it is known. A check that breaks is itself a finding."""
    checks: tuple[tuple[str, Callable[[Examined], Iterator[Finding]]], ...] = (
        ("python", _python), ("packages", _packages), ("pynvml", _pynvml), ("servers", _servers), ("folder", _folder),
        ("open files", _open_files), ("port", _port), ("gpu", _gpu), ("torch", _torch),
        ("sandbox", _sandbox), ("postgresql", _postgres),
        ("redis", _redis), ("clock", _clock),
    )  # fmt: skip
    for name, check in checks:
        try:
            yield from check(what)
        except Exception as error:  # noqa: BLE001  # one broken check must not hide the others
            yield Finding(name, Status.FAIL, f"the check failed: {type(error).__name__}: {error}")


def _python(_: Examined) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info >= (3, 11)
    yield Finding(
        "python", Status.OK if good else Status.FAIL, version, None if good else "install Python 3.11 or newer"
    )


def _packages(_: Examined) -> Iterator[Finding]:
    for extra, modules in _EXTRAS.items():
        missing = [name for name in modules if importlib.util.find_spec(name) is None]
        mend = f"pip install -e '.[{extra}]' in a checkout of the project"
        if not missing:
            yield Finding(f"extra {extra}", Status.OK, "installed")
        elif len(missing) == len(modules):
            yield Finding(f"extra {extra}", Status.WARN, "not installed: this is a client only", mend)
        else:
            yield Finding(f"extra {extra}", Status.FAIL, f"incomplete: no {', '.join(missing)}", mend)


def _pynvml(_: Examined) -> Iterator[Finding]:
    """Two distributions install a module `pynvml`; the old one shadows the driver vendor's and reads memory wrongly."""
    try:
        old = importlib.metadata.distribution("pynvml")
    except importlib.metadata.PackageNotFoundError:
        return
    shadows = any(str(file) in {"pynvml.py", "pynvml/__init__.py"} for file in old.files or [])
    yield Finding(
        "pynvml",
        Status.FAIL if shadows else Status.WARN,
        f"the old distribution pynvml {old.version} is installed next to nvidia-ml-py",
        "pip uninstall pynvml && pip install --force-reinstall nvidia-ml-py",
    )


def _servers(_: Examined) -> Iterator[Finding]:
    embedded: tuple[tuple[str, str, Callable[[], Path]], ...] = (
        ("DATABASE_URL", "embedded postgresql", lambda: postgres_binaries() / "postgres"),
        ("REDIS_URL", "embedded redis", redis_binary),
    )
    for setting, name, locate in embedded:
        if setting in os.environ:
            continue
        try:
            program = locate()
        except EmbeddedError as error:
            yield Finding(name, Status.WARN, "absent", str(error))
            continue
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=20)
        good = said.returncode == 0
        found = said.stdout.strip() if good else said.stderr.strip()[-300:]
        mend = None if good else f"the program of the wheel does not run here: use your own server ({setting})"
        yield Finding(name, Status.OK if good else Status.FAIL, found, mend)


def _folder(what: Examined) -> Iterator[Finding]:
    folder = what.folder.absolute()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        yield Finding("folder", Status.FAIL, f"{existing} cannot be written", "choose another folder with --data")
        return
    if (error := _refusal(folder)) is not None:
        found, _, remedy = refused_by_system(error, folder).partition("; ")
        yield Finding("folder", Status.FAIL, found, remedy or "choose another folder with --data")
        return
    yield Finding("folder", Status.OK, f"{folder} can be written")
    inodes = os.statvfs(existing)
    if inodes.f_files and inodes.f_favail < MIN_INODES:
        found = f"only {inodes.f_favail} more files fit on its disk"
        yield Finding("inodes", Status.WARN, found, "remove small files: df -i shows the disk")
    free_bytes = shutil.disk_usage(existing).free
    scarce = Status.FAIL if free_bytes < DISK_FAIL_BYTES else Status.WARN
    status = scarce if free_bytes < DISK_WARN_BYTES else Status.OK
    mend = (
        None
        if status is Status.OK
        else f"free some space: runs and checkpoints need {DISK_WARN_BYTES // 2**30} GiB or more"
    )
    yield Finding("disk", status, f"{free_bytes / 2**30:.1f} GiB free", mend)


def _refusal(folder: Path) -> PermissionError | None:
    """What the lab in the folder could not open: a file that another account left there."""
    inside = (folder, folder / "lab.lock", folder / "logs", *folder.glob("logs/*.log"), folder / "postgres" / "data")
    for path in filter(Path.exists, inside):
        if not os.access(path, os.R_OK | os.W_OK):
            return PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    return None


def _open_files(_: Examined) -> Iterator[Finding]:
    soft, hard = file_limits()
    most = "unlimited" if hard == -1 else f"{hard}"
    scarce = hard != -1 and hard < MIN_COMFORTABLE
    mend = f"a class needs {MIN_COMFORTABLE}: LimitNOFILE= of the systemd unit, or nofile in /etc/security/limits.conf"
    yield Finding(
        "open files", Status.WARN if scarce else Status.OK,
        f"{soft} at once, which the lab raises to {most}", mend if scarce else None,
    )  # fmt: skip


def _port(what: Examined) -> Iterator[Finding]:
    name = f"port {what.port}"
    try:
        free_port(what.host, what.port)
        yield Finding(name, Status.OK, f"free on {what.host}")
    except LabError as error:
        if unready(f"http://{what.host}:{what.port}") is None:
            yield Finding(name, Status.OK, "a lab answers there")
        else:
            yield Finding(
                name, Status.FAIL, str(error), "stop the program that listens there, or choose another --port"
            )


def _gpu(_: Examined) -> Iterator[Finding]:
    if importlib.util.find_spec("pynvml") is None:
        yield Finding("gpu", Status.WARN, "not checked: the extra `worker` is not installed")
        return
    answer = _probe("worker.measuring.probe", 60.0)
    if "gpus" not in answer:
        yield Finding(
            "gpu", Status.WARN, str(answer.get("absent", answer.get("error"))),
            "a CPU lab needs none; for GPUs install NVIDIA's driver, or start the container with its GPUs",
        )  # fmt: skip
        return
    for name, total_bytes, driver, healthy, reason in answer["gpus"]:
        size = f"{total_bytes / 2**30:.1f} GiB" if total_bytes else "memory unknown"
        status = Status.OK if healthy else Status.FAIL
        yield Finding("gpu", status, f"{name}, {size}, driver {driver}", reason)
    if not answer["gpus"]:
        yield Finding("gpu", Status.WARN, "the driver runs but shows no GPU", "check the container's or MIG's settings")


def _torch(_: Examined) -> Iterator[Finding]:
    if importlib.util.find_spec("torch") is None:
        return
    answer = _probe("experiments.torch_probe", _TORCH_SECONDS)
    if "version" not in answer:
        yield Finding("torch", Status.FAIL, f"cannot be imported: {answer['error']}", "reinstall: make install")
    elif answer["gpus"]:
        yield Finding("torch", Status.OK, f"{answer['version']}, sees {', '.join(answer['gpus'])}")
    else:
        yield Finding("torch", Status.OK, f"{answer['version']}, CPU only (built for CUDA {answer['built_for']})")


def _sandbox(_: Examined) -> Iterator[Finding]:
    """Without it the node runs no code of users."""
    answer = _probe("sandbox", _SANDBOX_SECONDS)
    if "error" in answer:
        return
    if answer["reason"] is not None:
        yield Finding("sandbox", Status.WARN, f"users' programs cannot run here: {answer['reason']}", answer["mend"])
        return
    as_root = "run workers under a separate account, so that a program that escapes its sandbox is not root"
    yield Finding(
        "sandbox", Status.WARN if answer["as_root"] else Status.OK,
        "works, as root" if answer["as_root"] else "works", as_root if answer["as_root"] else None,
    )  # fmt: skip


def _probe(module: str, timeout_seconds: float) -> dict[str, Any]:
    """Run a probe in a separate process, so that a crash or a heavy import does not affect this one."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", module], cwd=CHECKOUT, capture_output=True, text=True, check=False,
            timeout=timeout_seconds,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"error": f"no answer in {timeout_seconds:.0f} s"}
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        return {"error": last}
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _postgres(_: Examined) -> Iterator[Finding]:
    url = os.environ.get("DATABASE_URL")
    if url is None:
        return
    import psycopg

    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            row = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
            version = connection.info.server_version
    except psycopg.Error as error:
        yield Finding(
            "postgresql", Status.FAIL, str(error).strip().splitlines()[0], "check DATABASE_URL and the server"
        )
        return
    good = version >= OLDEST_POSTGRES
    found = f"version {version // 10000}.{version % 10000}"
    mend = None if good else f"PostgreSQL {OLDEST_POSTGRES // 10000} or newer is needed"
    yield Finding("postgresql", Status.OK if good else Status.FAIL, found, mend)
    shared = shares_sessions(url)
    yield Finding(
        "sessions", Status.FAIL if shared else Status.OK,
        "a pooler shares them between clients" if shared else "each client has its own", ADVICE if shared else None,
    )  # fmt: skip
    skew_seconds = abs(time.time() - float(row[0] if row else 0.0))
    late = skew_seconds > CLOCK_WARN_SECONDS
    yield Finding(
        "clock against the database", Status.WARN if late else Status.OK, f"{skew_seconds:.2f} s apart",
        "let both machines follow a time server" if late else None,
    )  # fmt: skip


def _redis(_: Examined) -> Iterator[Finding]:
    url = os.environ.get("REDIS_URL")
    if url is None:
        return
    import redis

    try:
        with redis.Redis.from_url(url, socket_connect_timeout=5, socket_timeout=5) as client:
            client.ping()
    except (redis.RedisError, ValueError) as error:
        yield Finding("redis", Status.FAIL, str(error), "check REDIS_URL and the server")
        return
    yield Finding("redis", Status.OK, "answers")


def _clock(_: Examined) -> Iterator[Finding]:
    not_synchronised = 5  # TIME_ERROR of adjtimex(2), which only reads when the mode (first word) is zero
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    if state == not_synchronised:
        yield Finding(
            "clock",
            Status.WARN,
            "not synchronised with a time server",
            "needed with several machines: run chrony or ntpd",
        )
    else:
        yield Finding("clock", Status.OK, "synchronised with a time server")
