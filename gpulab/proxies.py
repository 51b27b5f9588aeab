"""Proxies of the environment are for the outside world: what is on this machine is never asked through one."""

import ipaddress
import os
from collections.abc import MutableMapping

LOOPBACK = ("localhost", "127.0.0.1", "::1")


def is_loopback(host: str) -> bool:
    """Whether a host's name or address, brackets or not, is this machine."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def spare_loopback(environment: MutableMapping[str, str] = os.environ) -> None:
    """Name this machine in `NO_PROXY`, which every library of this process and its children reads."""
    for name in ("NO_PROXY", "no_proxy"):
        given = [part.strip() for part in environment.get(name, "").split(",") if part.strip()]
        if "*" not in given:
            environment[name] = ",".join([*given, *(host for host in LOOPBACK if host not in given)])
