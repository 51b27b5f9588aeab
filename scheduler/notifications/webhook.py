"""Posts a message to an address that a user chose, which must lead nowhere but out.

The address is resolved here, and the connection goes to what was resolved: a name that leads elsewhere a moment later
changes nothing. Redirects are not followed, and of the answer nothing but its status is read.
"""

import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from threading import Event
from typing import Any
from urllib.parse import SplitResult, urlsplit

from gpulab.threads import VitalThread
from scheduler.notifications.errors import DeliveryError
from scheduler.notifications.words import Message

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 10.0
MAX_TEXT_CHARACTERS = 1900
"""Discord takes 2000."""
EMBEDDING = (IPv6Network("::/96"), IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))
"""Their last 32 bits are an address of IPv4."""


def body_of(message: Message) -> bytes:
    """Slack and Mattermost read `text`, Discord `content`; other programs `kind` and `link`."""
    text = "\n".join(filter(None, [message.text, message.link]))[:MAX_TEXT_CHARACTERS]
    said = {"text": text, "content": text, "link": message.link, "kind": message.kind}
    return json.dumps({**said, "allowed_mentions": {"parse": []}}).encode()


def post(url: str, message: Message, *, key: str, private_networks: bool) -> None:
    """`key` is the same for a message that is sent again. Raises `DeliveryError`."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    late = Event()
    try:
        with _connected(parts, private_networks=private_networks) as connection:
            status = _status(connection, parts, body_of(message), key, late)
    except (OSError, HTTPException, UnicodeError) as error:
        why = f"no answer within {TOTAL_SECONDS:g} s" if late.is_set() else _words(error)
        raise DeliveryError(
            f"{host}: {why}", reason=f"a webhook could not be reached: {type(error).__name__}"
        ) from None
    if not 200 <= status < 300:
        more = "; redirects are not followed" if 300 <= status < 400 else ""
        raise DeliveryError(f"{host} answered with status {status}{more}", reason=f"a webhook answered {status}{more}")


def may_connect(address: str, *, private_networks: bool) -> bool:
    """Whether a webhook may lead to this address: a public one, or with `private_networks` any but link-local ones."""
    found = _inner(ip_address(address))
    if found.is_loopback:
        return private_networks
    if found.is_link_local or found.is_multicast or found.is_unspecified or found.is_reserved:
        return False
    return private_networks or found.is_global


def _inner(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The address of IPv4 that one of IPv6 stands for."""
    if isinstance(address, IPv4Address) or address == IPv6Address("::1"):
        return address
    if any(address in network for network in EMBEDDING):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.sixtofour or address


def _connected(parts: SplitResult, *, private_networks: bool) -> "_Closing":
    """Raises `DeliveryError`, `OSError`."""
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    plain = _socket(host, port, private_networks=private_networks)
    try:
        context = ssl.create_default_context()
        made = HTTPSConnection(host, port, context=context) if secure else HTTPConnection(host, port)
        # It uses the socket that it has, and resolves nothing.
        made.sock = context.wrap_socket(plain, server_hostname=host) if secure else plain
    except BaseException:
        plain.close()
        raise
    return _Closing(made)


class _Closing:
    def __init__(self, connection: HTTPConnection) -> None:
        self._connection = connection

    def __enter__(self) -> HTTPConnection:
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def _socket(host: str, port: int, *, private_networks: bool) -> socket.socket:
    """Connected to the first address that answers and that a webhook may lead to."""
    failure: OSError | None = None
    for family, address in _addresses(host, port, private_networks=private_networks):
        made = socket.socket(family, socket.SOCK_STREAM)
        made.settimeout(CONNECT_SECONDS)
        try:
            made.connect(address)
        except OSError as error:
            made.close()
            failure = error
        else:
            return made
    if failure is not None:
        raise failure
    said = f"{host} has no address that a webhook may lead to: it must be a public one"
    raise DeliveryError(said, reason="a webhook leads to no public address")


def _addresses(host: str, port: int, *, private_networks: bool) -> Iterator[tuple[int, Any]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror:
        # Said as of a private one: users learn nothing of the names inside.
        return
    for family, _, _, _, address in found:
        if may_connect(str(address[0]), private_networks=private_networks):
            yield family, address


def _status(connection: HTTPConnection, parts: SplitResult, body: bytes, key: str, late: Event) -> int:
    """A server that drips its answer is cut off after `TOTAL_SECONDS`."""
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"Content-Type": "application/json", "User-Agent": "gpulab", "Idempotency-Key": key}
    answered = Event()
    VitalThread("webhook", lambda: _cut_off(connection.sock, answered, late)).start()
    try:
        connection.request("POST", path, body, headers)
        status = connection.getresponse().status
    finally:
        answered.set()
    if late.is_set():
        # The cut looks like the end of the headers.
        raise TimeoutError
    return status


def _cut_off(sock: socket.socket, answered: Event, late: Event) -> None:
    if answered.wait(TOTAL_SECONDS):
        return
    late.set()
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {error.verify_message}"
    return str(getattr(error, "strerror", None) or type(error).__name__)
