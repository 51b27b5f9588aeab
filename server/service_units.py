"""systemd units for a lab or a worker: their text, and where they go."""

import getpass
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SERVED = ("up", "worker", "scheduler")
"""Commands that stay in the foreground."""
MARK = "# Written by `gpulab service install`; the next install replaces it."
STOP_SECONDS = 90
"""Above a worker's grace for checkpoints and the API's for open requests."""
ROOT = "root"
JOIN_OPTION, JOIN_SETTING = "--join", "GPULAB_JOIN"
STDIN = "-"


class ServiceError(RuntimeError):
    """The unit cannot be written; the message says why and what to do."""


@dataclass(frozen=True)
class Service:
    command: tuple[str, ...]
    """What is run, without the program: `up --data /srv/lab`."""
    is_system: bool
    """Of the machine, started at boot; else of this user."""
    account: str
    """Whose process a system's unit is."""
    folder: Path
    """From which relative paths in the command are read."""
    join_line: str = ""
    """How the worker joins its lab. It holds a secret, which everybody could read in a unit."""

    @property
    def name(self) -> str:
        return f"gpulab-{self.command[0]}.service"

    @property
    def path(self) -> Path:
        return (SYSTEM_UNITS if self.is_system else _user_config() / "systemd/user") / self.name

    @property
    def environment_file(self) -> Path:
        folder = Path("/etc/gpulab") if self.is_system else _user_config() / "gpulab"
        return folder / f"{self.command[0]}.env"

    @property
    def systemctl(self) -> tuple[str, ...]:
        return ("systemctl",) if self.is_system else ("systemctl", "--user")


def service_of(command: Sequence[str], is_system: bool, account: str, folder: Path) -> Service:
    """The service that runs a command, whose join line goes to the environment's file."""
    words, join_line = list(command), ""
    for at, word in enumerate(words):
        name, sign, value = word.partition("=")
        if name == JOIN_OPTION:
            join_line = value if sign else "".join(words[at + 1 : at + 2])
            del words[at : at + (1 if sign else 2)]
            break
    return Service(tuple(words), is_system, account, folder, join_line)


SYSTEM_UNITS = Path("/etc/systemd/system")


def unit_text(service: Service) -> str:
    """The unit. Secrets stand in the environment's file, which is optional."""
    words = " ".join(map(_quoted, (*_program(), *service.command)))
    user = f"User={service.account}\n" if service.is_system and service.account != ROOT else ""
    target = "multi-user.target" if service.is_system else "default.target"
    return f"""{MARK}
[Unit]
Description=gpulab {service.command[0]}
Wants=network-online.target
After=network-online.target nvidia-persistenced.service

[Service]
{user}WorkingDirectory={_path(service.folder)}
EnvironmentFile=-{_path(service.environment_file)}
ExecStart={words}
KillMode=mixed
TimeoutStopSec={STOP_SECONDS}
Restart=on-failure
RestartSec=5
RestartPreventExitStatus=2
LimitNOFILE=65536
Delegate=memory pids
UMask=0077

[Install]
WantedBy={target}
"""


def check(service: Service) -> None:
    """Raises `ServiceError` where systemd could not run it."""
    if service.command[:1] not in [(name,) for name in SERVED]:
        raise ServiceError(f"name what to run after --: {', '.join(SERVED)}, such as `-- up --data /srv/lab`")
    if service.join_line == STDIN:
        raise ServiceError(
            "a service has no standard input: give the join line itself, or --join-file with a whole path"
        )
    given = {
        "an argument": (*service.command, service.join_line),
        "--account": (service.account,),
        "the folder": (str(service.folder),),
    }
    for name, words in given.items():
        if any(sign in word for word in words for sign in "\n\r\0"):
            raise ServiceError(f"{name} has a line break, which is not possible in a unit")
    if any("://" in word and "@" in word for word in service.command):
        raise ServiceError(f"an argument contains an address with a password: put it into {service.environment_file}")


def write(service: Service) -> None:
    """Write the unit. Raises `ServiceError` where another one has its place, or it cannot be written."""
    try:
        if service.path.exists() and MARK not in service.path.read_text(encoding="utf-8"):
            raise ServiceError(f"{service.path} was not written by gpulab: remove it first")
        service.path.parent.mkdir(parents=True, exist_ok=True)
        service.path.write_text(unit_text(service), encoding="utf-8")
        service.path.chmod(0o644)
        if service.join_line:
            _keep_setting(service.environment_file, JOIN_SETTING, service.join_line)
    except OSError as error:
        hint = "run it as root, or without --system" if service.is_system and os.geteuid() else "choose another account"
        raise ServiceError(f"{service.path} cannot be written ({error.strerror}): {hint}") from error


def _keep_setting(path: Path, name: str, value: str) -> None:
    """Set it in a file of NAME=VALUE lines that only its owner can read. Other lines stay. Raises `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    kept = [line for line in lines if not line.lstrip().startswith(f"{name}=")]
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in (*kept, f"{name}={value}"))
    fresh.replace(path)


def start(service: Service) -> None:
    """Start it now and at every boot; one that runs is restarted with its new options. Raises `ServiceError` with what
    systemd said.
    """
    for arguments in (("daemon-reload",), ("enable", service.name), ("restart", service.name)):
        done = subprocess.run([*service.systemctl, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise ServiceError(f"systemctl {arguments[0]} failed: {(done.stderr or done.stdout).strip()[-500:]}")


def systemd_runs() -> bool:
    return shutil.which("systemctl") is not None and Path("/run/systemd/system").is_dir()


def default_account() -> str:
    """Who called sudo, or who calls."""
    return os.environ.get("SUDO_USER") or getpass.getuser()


def _program() -> tuple[str, ...]:
    """Of this environment, whose script may lie elsewhere, such as after an install for one user."""
    script = Path(sys.executable).parent / "gpulab"
    return (str(script),) if script.is_file() else (sys.executable, "-m", "gpulab")


def _user_config() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


def _quoted(word: str) -> str:
    """As systemd reads it in ExecStart: `%` and `$` have a meaning there."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return escaped if escaped and not set(escaped) & set(" \t\"'\\;") else f'"{escaped}"'


def _path(path: Path) -> str:
    return str(path).replace("%", "%%")
