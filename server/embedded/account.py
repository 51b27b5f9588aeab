"""Which account PostgreSQL runs as, and which accounts of this machine it lets in."""

import os
import pwd
import zlib
from pathlib import Path
from typing import NamedTuple

from server.embedded.place import EmbeddedError

_FIRST_UID = 61_184
_UIDS = 4096
"""Numbers that systemd keeps free of people, for services that come and go."""
_MAP = "gpulab"
WORKERS_ROLE = "gpulab_node"
"""As which workers of other machines connect; the gate makes it, and is a process of this account, too."""


class Account(NamedTuple):
    uid: int
    gid: int

    def own(self, folder: Path) -> None:
        """Give a folder with everything in it to this account."""
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def nobody() -> Account:
    """A named account without rights. Raises `EmbeddedError` where the machine has none."""
    try:
        found = pwd.getpwnam("nobody")
    except KeyError:
        raise EmbeddedError(
            "PostgreSQL refuses to run as root and this machine has no account 'nobody': "
            "run as another user, or set DATABASE_URL"
        ) from None
    return Account(found.pw_uid, found.pw_gid)


def account_for(data: Path) -> Account | None:
    """Whose process the server is: ours, shown by None, unless we are root, which PostgreSQL refuses.

    As root it is the owner of the data; new data, and data of `nobody`, whose processes are many, get a number that
    nothing else on the machine runs as.
    """
    if os.geteuid() != 0:
        return None
    shared = nobody()
    if data.exists() and (found := data.stat()).st_uid not in {0, shared.uid}:
        return Account(found.st_uid, found.st_gid)
    return _unused_account(data) or shared


def let_in_its_own(data: Path, user: str, account: Account | None) -> None:
    """Write who may connect to the cluster: the account of this process, and root, as `user` or for a worker of another
    machine. There is no password.
    """
    names = sorted({_name(os.geteuid()), _name(0)})
    texts = {
        "pg_hba.conf": f"# Written at every start.\nlocal all {user} peer map={_MAP}\n"
        f"local all {WORKERS_ROLE} peer map={_MAP}\n",
        "pg_ident.conf": "# Written at every start.\n"
        + "".join(f'{_MAP} "{name}" {role}\n' for name in names for role in (user, WORKERS_ROLE)),
    }
    for name, text in texts.items():
        path = data / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        if account is not None:
            account.own(path)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        raise EmbeddedError(
            f"this machine has no account name for the user ID {uid}: add one, or set DATABASE_URL"
        ) from None


def _unused_account(data: Path) -> Account | None:
    """A number of our own for this folder; None where this container has only a few numbers."""
    start = zlib.crc32(os.fsencode(data))
    for step in range(_UIDS):
        uid = _FIRST_UID + (start + step) % _UIDS
        if not _is_known(uid):
            return Account(uid, uid) if _is_mapped(uid, "uid_map") and _is_mapped(uid, "gid_map") else None
    return None


def _is_known(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _is_mapped(number: int, table: str) -> bool:
    rows = [map(int, line.split()) for line in Path(f"/proc/self/{table}").read_text(encoding="ascii").splitlines()]
    return any(first <= number < first + count for first, _, count in rows)
