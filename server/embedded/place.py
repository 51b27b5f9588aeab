"""What the embedded servers share: finding their programs, their environment, a place for their socket."""

import hashlib
import importlib.util
import os
import tempfile
from pathlib import Path

POLL_SECONDS = 0.02
_SOCKET_PATH_LIMIT_BYTES = 107


class EmbeddedError(RuntimeError):
    """An embedded server cannot start: the message says why and what to do."""


def from_wheel(package: str, relative: str, setting: str) -> Path:
    """A program of an installed package. Raises `EmbeddedError` naming the setting that makes do without it."""
    # find_spec locates without importing: importing these packages has side effects that are not wanted here.
    spec = importlib.util.find_spec(package)
    for place in (spec.submodule_search_locations or []) if spec else []:
        program = Path(place) / relative
        if program.exists():
            return program
    raise EmbeddedError(f"{Path(relative).name} is not installed: pip install 'gpulab[embedded]', or set {setting}")


def server_environment() -> dict[str, str]:
    """An environment for programs that are ours alone."""
    # The caller's PG* variables (and locale) must not reach servers that are ours alone.
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def socket_folder(folder: Path, name: str) -> Path:
    """`folder`/socket, or a short place derived from it where the kernel's limit on socket paths would be passed."""
    near = folder / "socket"
    if len(os.fsencode(near / name)) <= _SOCKET_PATH_LIMIT_BYTES:
        return near
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    far = Path(tempfile.gettempdir()) / f"gpulab-{os.geteuid()}-{digest}"
    if len(os.fsencode(far / name)) > _SOCKET_PATH_LIMIT_BYTES:
        raise EmbeddedError(f"{far} is too long for a Unix socket: set TMPDIR to a shorter folder")
    return far
