"""Where a lab lets machines in, and the line that brings them there."""

import socket
from dataclasses import dataclass
from pathlib import Path

from server.joining.identity import Identity
from server.joining.join_line import Address

EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, not bound to
DEFAULT_PORT = 8700
_ELSEWHERE = ("192.0.2.1", 9)
"""An address that is nobody's. Nothing is sent there."""


@dataclass(frozen=True, slots=True)
class Sharing:
    host: str = "0.0.0.0"  # noqa: S104 - to be reached by other machines is what it is for
    port: int = DEFAULT_PORT


def prepared(folder: Path, host: str, port: int) -> Identity:
    """The lab's identity, ready to be shown. Raises `OSError`."""
    identity = Identity(folder)
    identity.prepare()
    identity.shared_at(Address(_outward_host() if host in EVERYWHERE else host, port))
    return identity


def _outward_host() -> str:
    """By which other machines most likely know this one: the address of the way out, or the host's name."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(_ELSEWHERE)
            return str(probe.getsockname()[0])
    except OSError:
        return socket.gethostname()


def answers(host: str, port: int) -> bool:
    """Whether somebody listens there."""
    try:
        with socket.create_connection(("127.0.0.1" if host in EVERYWHERE else host, port), timeout=5):
            return True
    except OSError:
        return False
