"""Proxies of the environment are for the outside world: what is on this machine is never asked through one."""

import ipaddress
import os
import socket
from collections.abc import MutableMapping

NAMES = ("NO_PROXY", "no_proxy")
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def is_loopback(host: str) -> bool:
    """Whether a host's name or address, brackets or not, is this machine."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return _is_short_loopback(name)
    found = getattr(address, "ipv4_mapped", None) or address
    # A server that listens on 0.0.0.0 prints it, and people paste it: a connection to it stays on this machine.
    return found.is_loopback or found.is_unspecified


def _is_short_loopback(name: str) -> bool:
    """`127.1`, as the system reads it."""
    try:
        return socket.inet_aton(name)[0] == ipaddress.ip_address("127.0.0.1").packed[0]
    except (OSError, UnicodeError):
        return False


def spare_loopback(environment: MutableMapping[str, str] = os.environ) -> None:
    """Name this machine in `NO_PROXY`, which every library of this process and its children reads.

    Both spellings say the same afterwards: some libraries look only at one of them, and a new one hides the other.
    """
    given = [part.strip() for name in NAMES for part in environment.get(name, "").split(",") if part.strip()]
    hosts = "*" if "*" in given else ",".join(dict.fromkeys([*given, *LOOPBACK]))
    environment.update(dict.fromkeys(NAMES, hosts))
