"""Why the system refuses a file of the lab's folder, and what helps."""

import errno
import os
import pwd
from pathlib import Path
from shlex import quote
from tempfile import TemporaryFile

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
DENIED = frozenset({errno.EACCES, errno.EPERM})
NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS})


def try_to_write(folder: Path) -> None:
    """Raises `OSError`, about the folder, where no file can be made in it.

    Several processes may try at the same time: a folder can be shared, and the file has no name that they could share.
    """
    try:
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        error.filename = str(folder)
        raise


def refused_by_system(error: OSError, folder: Path) -> str:
    """One sentence for the operator of the lab in `folder`."""
    path = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else folder
    words = f"{path} cannot be written: {error.strerror or error}"
    return f"{words}{_remedy(error.errno, path, folder)}"


def _remedy(number: int | None, path: Path, folder: Path) -> str:
    if number in FULL:
        return "; free some space, or raise the quota (df -h and df -i show what is full)"
    if number in NO_LOCKS:
        return "; this file system cannot lock files, and a lab needs a local disk"
    if number not in DENIED:
        return ""
    owner, own = _owner(path), os.geteuid()
    if owner is None or owner == own:
        return ""
    # As left by one start with sudo.
    return f"; it belongs to {_name(owner)}, and this is {_name(own)}: sudo chown -R {own} {quote(str(folder))}"


def _owner(path: Path) -> int | None:
    """Of the nearest that may be looked at."""
    for each in (path, *path.parents):
        try:
            return each.stat().st_uid
        except OSError:
            continue
    return None


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user ID {uid}"
