"""The two loops that carry out steps: `Driver` blocks, `AsyncDriver` awaits. Only they touch sockets."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import aclosing, closing
from functools import partial
from typing import Any, TypeVar
from urllib.request import proxy_bypass

import httpx

from gpulab.client.connection import Connection
from gpulab.client.steps import (
    Disconnected,
    Emit,
    Open,
    Read,
    Request,
    Response,
    Send,
    Sleep,
    Step,
    Steps,
    T,
    advance,
    emitted,
)
from gpulab.errors import ConfigurationError

CONNECT_TIMEOUT_SECONDS = 5.0
H = TypeVar("H", httpx.Client, httpx.AsyncClient)


class Driver:
    """Carries out operations one after the other in the caller's thread."""

    def __init__(self, connection: Connection, transport: httpx.BaseTransport | None) -> None:
        self._http = _http(httpx.Client, connection, transport)

    def run(self, steps: Steps[T]) -> T:
        """Carry out a whole operation and return its result."""
        with closing(self.walk(emitted(steps))) as walk:
            result: T = next(walk)
        return result

    def walk(self, steps: Steps[Any]) -> Generator[Any, None, None]:
        """Carry out an operation and yield what it emits."""
        with closing(steps), closing(_Line(self._http)) as line:
            outcome: Any = None
            while (step := advance(steps, outcome)) is not None:
                if isinstance(step, Emit):
                    outcome = yield step.value
                else:
                    outcome = line.perform(step)

    def close(self) -> None:
        self._http.close()


class AsyncDriver:
    """Carries out operations on the running event loop."""

    def __init__(self, connection: Connection, transport: httpx.AsyncBaseTransport | None) -> None:
        self._http = _http(httpx.AsyncClient, connection, transport)

    async def run(self, steps: Steps[T]) -> T:
        """Carry out a whole operation and return its result."""
        async with aclosing(self.walk(emitted(steps))) as walk:
            result: T = await anext(walk)
        return result

    async def walk(self, steps: Steps[Any]) -> AsyncGenerator[Any, None]:
        """Carry out an operation and yield what it emits."""
        with closing(steps):
            async with aclosing(_AsyncLine(self._http)) as line:
                outcome: Any = None
                while (step := advance(steps, outcome)) is not None:
                    if isinstance(step, Emit):
                        outcome = yield step.value
                    else:
                        outcome = await line.perform(step)

    async def aclose(self) -> None:
        await self._http.aclose()


class _Line:
    """One operation's connection, with the body it may hold open."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self._open: httpx.Response | None = None
        self._pieces: Iterator[bytes] = iter(())

    def perform(self, step: Step) -> Any:
        try:
            match step:
                case Sleep(seconds):
                    time.sleep(seconds)
                case Send(request):
                    return _whole(self._http, self._http.send(_built(self._http, request)))
                case Open(request):
                    return self._begin(request)
                case Read():
                    return next(self._pieces, b"")
        except httpx.RequestError as error:
            return _disconnected(self._http, error)
        return None

    def _begin(self, request: Request) -> Response:
        self.close()
        answer = self._open = self._http.send(_built(self._http, request), stream=True)
        if answer.is_error:
            answer.read()
            return _whole(self._http, answer)
        self._pieces = answer.iter_bytes()
        return Response(answer.status_code, answer.headers, lab=_address(self._http))

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


class _AsyncLine:
    """One operation's connection, with the body it may hold open."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._open: httpx.Response | None = None
        self._pieces: AsyncIterator[bytes] | None = None

    async def perform(self, step: Step) -> Any:
        try:
            match step:
                case Sleep(seconds):
                    await asyncio.sleep(seconds)
                case Send(request):
                    return _whole(self._http, await self._http.send(_built(self._http, request)))
                case Open(request):
                    return await self._begin(request)
                case Read() if self._pieces is not None:
                    return await anext(self._pieces, b"")
        except httpx.RequestError as error:
            return _disconnected(self._http, error)
        return None

    async def _begin(self, request: Request) -> Response:
        await self.aclose()
        answer = self._open = await self._http.send(_built(self._http, request), stream=True)
        if answer.is_error:
            await answer.aread()
            return _whole(self._http, answer)
        self._pieces = answer.aiter_bytes()
        return Response(answer.status_code, answer.headers, lab=_address(self._http))

    async def aclose(self) -> None:
        if self._open is not None:
            await self._open.aclose()
            self._open = None


def _http(kind: Callable[..., H], connection: Connection, transport: Any) -> H:
    """A client of httpx. Raises ConfigurationError where the environment names a proxy that it cannot use."""
    make = partial(kind, base_url=connection.url, headers=connection.headers, transport=transport)
    if not connection.trusts_proxies or proxy_bypass(httpx.URL(connection.url).host):
        return make(trust_env=False)
    try:
        return make(trust_env=True)
    except (ImportError, ValueError) as error:
        raise ConfigurationError(
            f"the environment names a proxy that cannot be used ({error}): name an http:// proxy in HTTPS_PROXY and "
            f"HTTP_PROXY, or add the lab's host to NO_PROXY; for a socks5:// proxy, pip install 'httpx[socks]'"
        ) from error


def _built(http: httpx.Client | httpx.AsyncClient, request: Request) -> httpx.Request:
    return http.build_request(
        request.method,
        request.path,
        params=request.parameters,
        headers=dict(request.headers),
        json=request.body,
        timeout=httpx.Timeout(request.read_timeout_seconds, connect=CONNECT_TIMEOUT_SECONDS),
    )


def _whole(http: httpx.Client | httpx.AsyncClient, answer: httpx.Response) -> Response:
    return Response(answer.status_code, answer.headers, answer.content, _address(http))


def _address(http: httpx.Client | httpx.AsyncClient) -> str:
    return str(http.base_url).rstrip("/")


def _disconnected(http: httpx.Client | httpx.AsyncClient, error: httpx.RequestError) -> Disconnected:
    reason = str(error) or type(error).__name__
    sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
    return Disconnected(f"no lab answers at {_address(http)}: {reason}{_hint(error)}", sent=sent)


def _hint(error: httpx.RequestError) -> str:
    wrong_scheme = "WRONG_VERSION_NUMBER" in str(error) or "record layer failure" in str(error)
    return " (it may speak http:// and not https://)" if wrong_scheme else ""
