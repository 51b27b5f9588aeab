"""Requests to one lab. Every call of the client goes through `Http`."""

import os
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol, TypeAlias, TypeVar
from urllib.parse import quote
from urllib.request import proxy_bypass

import httpx
from pydantic import BaseModel

from gpulab.client.transport.answers import TRY_LATER, M, accepted, parsed, retry_after_seconds
from gpulab.client.transport.connection import Connection
from gpulab.client.transport.pauses import Backoff, pause
from gpulab.client.transport.sendable import check_body, check_query, check_text
from gpulab.errors import ConfigurationError, LabUnreachable, Unauthenticated

CONNECT_TIMEOUT_SECONDS = 5.0
READ_TIMEOUT_SECONDS = 30.0
PAGE_LIMIT = 100
SIGN_IN_FIRST = "No token found. Sign in with `gpulab sign-in`, or set GPULAB_TOKEN."

Snapshot: TypeAlias = tuple[M, str | None]
"""What the lab said of a thing, and the ETag of this version of it."""


class Page(Protocol):
    """One page of a list."""

    @property
    def next_cursor(self) -> str | None: ...


class ItemPage(Page, Protocol):
    """A page whose list is called `items`."""

    @property
    def items(self) -> Any: ...


P = TypeVar("P", bound=Page)


class Disconnected(Exception):  # noqa: N818 - an outcome that the callers handle, not an error for the user
    """The connection failed. `sent` is False if the request certainly never reached the lab."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.sent = sent


class Http:
    """Sends requests, tries again where that is safe, and reads the answers. Usable from several threads."""

    def __init__(self, connection: Connection, retry_seconds: float, transport: httpx.BaseTransport | None) -> None:
        self.retry_seconds = retry_seconds
        """How long a request is tried while the lab is away."""
        self._client = _http_client(connection, transport)

    @property
    def lab(self) -> str:
        """The address that the client was given."""
        return str(self._client.base_url).rstrip("/")

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        form: Mapping[str, str] | None = None,
        files: Mapping[str, tuple[str, bytes]] | None = None,
        repeatable: bool = True,
        read_timeout_seconds: float = READ_TIMEOUT_SECONDS,
        backoff: Backoff | None = None,
    ) -> httpx.Response:
        """An answer below 400; raises `Refused` for others.

        A body is JSON, or a form with files. While the lab is away, the request is sent again if that is safe.
        `repeatable` says that sending it twice does no more than sending it once. Raises LabUnreachable, and
        ConfigurationError for what cannot be sent.
        """
        backoff = backoff or Backoff(self.retry_seconds)
        check_body(body or {})
        check_query(_given(query))
        request = self._client.build_request(
            method,
            path,
            params=_given(query),
            headers=headers,
            json=body,
            data=form,
            files=files,
            timeout=_timeout(read_timeout_seconds),
        )
        while True:
            try:
                response = self._client.send(request)
            except httpx.RequestError as error:
                gone = self._disconnected(error)
                delay = backoff.next_delay() if repeatable or not gone.sent else None
                if delay is None:
                    raise LabUnreachable(str(gone)) from error
            else:
                try_later = response.status_code in TRY_LATER and repeatable
                delay = backoff.next_delay(retry_after_seconds(response)) if try_later else None
                if delay is None:
                    backoff.reset()
                    return self._accepted(response)
            pause(delay)

    def get(self, model: type[M], path: str, **query: Any) -> M:
        """Read one thing."""
        return self.parse(model, self.send("GET", path, query=query))

    def change(self, model: type[M], method: str, path: str, body: Mapping[str, Any] | None = None) -> M:
        """A call that is sent again only if it certainly did not arrive."""
        return self.parse(model, self.send(method, path, body=body, repeatable=False))

    def parse(self, model: type[M], response: httpx.Response) -> M:
        """The answer's body as `model`."""
        return parsed(model, response, self.lab)

    def look(
        self,
        model: type[M],
        path: str,
        etag: str | None,
        wait_seconds: float = 0,
        backoff: Backoff | None = None,
        read_timeout_seconds: float = READ_TIMEOUT_SECONDS,
    ) -> Snapshot[M] | None:
        """The thing as it is, or None if after `wait_seconds` it still is what `etag` stands for."""
        response = self.send(
            "GET",
            path,
            query={"wait": f"{wait_seconds:g}" if wait_seconds else None},
            headers={"If-None-Match": etag} if etag else {},
            read_timeout_seconds=wait_seconds + read_timeout_seconds,
            backoff=backoff,
        )
        return None if response.status_code == 304 else (self.parse(model, response), response.headers.get("etag"))

    def read(self, model: type[M], path: str) -> Snapshot[M]:
        """One thing, with the ETag of this version."""
        response = self.send("GET", path)
        return self.parse(model, response), response.headers.get("etag")

    def items(self, page: type[BaseModel], path: str, limit: int | None, **filters: Any) -> Iterator[Any]:
        """The items of a list, at most `limit`; fetched page by page while the caller iterates."""
        left = limit

        def read(cursor: str | None) -> ItemPage:
            size = PAGE_LIMIT if left is None else min(left, PAGE_LIMIT)
            found: Any = self.get(page, path, **filters, limit=size, cursor=cursor)
            return found  # type: ignore[no-any-return]

        for found in pages(read) if left is None or left > 0 else ():
            yield from found.items[:left]
            left = None if left is None else left - len(found.items)
            if left is not None and left <= 0:
                return

    @contextmanager
    def stream(
        self, path: str, headers: Mapping[str, str], read_timeout_seconds: float = READ_TIMEOUT_SECONDS
    ) -> Iterator[httpx.Response]:
        """An answer whose body is read in pieces; a refusal's body is read already. Raises Disconnected."""
        timeout = _timeout(read_timeout_seconds)
        try:
            with self._client.stream("GET", path, headers=headers, timeout=timeout) as response:
                if response.is_error:
                    response.read()
                yield response
        except httpx.RequestError as error:
            raise self._disconnected(error) from error

    def without_retries(self) -> "Http":
        """The same connections, for a caller that looks again soon anyway."""
        other = object.__new__(Http)
        other.retry_seconds, other._client = 0.0, self._client
        return other

    def close(self) -> None:
        self._client.close()

    def _accepted(self, response: httpx.Response) -> httpx.Response:
        try:
            return accepted(response, self.lab)
        except Unauthenticated as refusal:
            if "Authorization" not in self._client.headers:
                refusal.args = (SIGN_IN_FIRST,)
            raise

    def _disconnected(self, error: httpx.RequestError) -> Disconnected:
        reason = str(error) or type(error).__name__
        if "CERTIFICATE_VERIFY_FAILED" in reason:
            raise ConfigurationError(
                f"the certificate of {self.lab} is not accepted: {_fault(reason)}. If this is your lab, "
                f"set SSL_CERT_FILE to a file with its certificate, or with that of its issuer"
            ) from error
        sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
        return Disconnected(f"no lab answers at {self.lab}: {reason}{_hint(error, self.lab)}", sent=sent)


def pages(read: Callable[[str | None], P]) -> Iterator[P]:
    """Every page of a list. `read` gets the cursor of the page to fetch, None for the first."""
    cursor: str | None = None
    while True:
        page = read(cursor)
        yield page
        cursor = page.next_cursor
        if cursor is None:
            return


def path_of(*parts: object) -> str:
    """Below `/v1`; ids and names are data, never path syntax. Raises ConfigurationError for what is no text."""
    return "/".join(["/v1", *(quote(check_text(str(part)), safe="") for part in parts)])


def _given(query: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (query or {}).items() if value is not None}


def _timeout(read_seconds: float) -> httpx.Timeout:
    return httpx.Timeout(read_seconds, connect=CONNECT_TIMEOUT_SECONDS)


def _http_client(connection: Connection, transport: httpx.BaseTransport | None) -> httpx.Client:
    """Raises ConfigurationError if the environment sets a proxy that cannot be used."""
    make = partial(httpx.Client, base_url=connection.url, headers=connection.headers, transport=transport)
    if not connection.trusts_proxies or proxy_bypass(httpx.URL(connection.url).host):
        return make(trust_env=False, verify=_trusted())
    try:
        return make(trust_env=True, verify=_trusted())
    except (ImportError, ValueError) as error:
        raise ConfigurationError(
            f"the environment sets a proxy that cannot be used ({error}): name an http:// proxy in HTTPS_PROXY and "
            f"HTTP_PROXY, or add the lab's host to NO_PROXY; for a socks5:// proxy, pip install 'httpx[socks]'"
        ) from error


def _fault(reason: str) -> str:
    """`self-signed certificate`, out of OpenSSL's line."""
    return reason.partition("verify failed: ")[2].partition(" (_ssl")[0].rstrip(". ") or reason


def _trusted() -> ssl.SSLContext:
    """Certificates that are trusted: those of the environment's file or folder, also where its proxies are not used."""
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        name = "SSL_CERT_FILE" if os.environ.get("SSL_CERT_FILE") else "SSL_CERT_DIR"
        raise ConfigurationError(f"{name} has no certificates that can be read: {error.strerror or error}") from error


def _hint(error: httpx.RequestError, lab: str) -> str:
    if "WRONG_VERSION_NUMBER" in str(error) or "record layer failure" in str(error):
        return " (it may speak http:// and not https://)"
    if isinstance(error, httpx.RemoteProtocolError) and lab.startswith("http://"):
        return " (it may speak https:// and not http://)"
    return ""
