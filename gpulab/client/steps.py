"""The client without its input and output.

Every operation is written once, as a generator: it yields what should happen next (`Send`, `Open`, `Read`, `Sleep`,
`Emit`) and gets the outcome back. The sync and the async client each hold one small loop that carries the steps out.
"""

import random
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from pydantic import ValidationError

from gpulab.errors import LabUnreachable, UnexpectedAnswer, VersionMismatch, refusal
from gpulab.schemas import Problem
from gpulab.version import LAB_HEADER, VERSION, fits, install_line

T = TypeVar("T")

REDIRECTS = frozenset({301, 302, 303, 307, 308})
CHECK_ADDRESS = "is this a gpulab? Check GPULAB_URL or --url"
TRY_LATER = frozenset({429, 502, 503, 504})
FIRST_DELAY_SECONDS = 0.1
LONGEST_DELAY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. `repeatable` says that sending it twice does no more than sending it once."""

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    repeatable: bool = True
    read_timeout_seconds: float = 30.0

    @property
    def parameters(self) -> dict[str, Any]:
        """The query without what was left out."""
        return {name: value for name, value in self.query.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; `content` is empty when the body is still to be read in pieces."""

    status: int
    headers: Mapping[str, str]
    content: bytes = b""
    lab: str = "the lab"
    """The address that the client was given."""


@dataclass(frozen=True, slots=True)
class Send:
    """Exchange a request for a whole `Response`."""

    request: Request


@dataclass(frozen=True, slots=True)
class Open:
    """Exchange a request for a `Response` whose body follows by `Read`; a refusal's body comes at once."""

    request: Request


@dataclass(frozen=True, slots=True)
class Read:
    """Get the next bytes of the open body; `b""` is its end."""


@dataclass(frozen=True, slots=True)
class Sleep:
    seconds: float


@dataclass(frozen=True, slots=True)
class Emit:
    """Hand a value to whoever iterates."""

    value: Any


Step: TypeAlias = Send | Open | Read | Sleep | Emit
Steps: TypeAlias = Generator[Step, Any, T]


class Disconnected(Exception):  # noqa: N818 - an outcome that operations handle, not an error of the caller
    """The connection failed. `sent` is False when the request certainly never reached the lab."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.sent = sent


def advance(steps: Steps[Any], outcome: Any) -> Step | None:
    """Hand an operation the outcome of its last step; returns its next step, or None when it is done."""
    try:
        return steps.throw(outcome) if isinstance(outcome, Disconnected) else steps.send(outcome)
    except StopIteration:
        return None


def emitted(steps: Steps[Any]) -> Steps[None]:
    """The operation with its result handed out as its only item."""
    value = yield from steps
    yield Emit(value)


class Backoff:
    """Growing pauses until patience ends; `reset` after a success."""

    def __init__(self, patience_seconds: float) -> None:
        self._patience_seconds = patience_seconds
        self.reset()

    def reset(self) -> None:
        self._deadline: float | None = None
        self._delay_seconds = FIRST_DELAY_SECONDS

    def next_delay(self, at_least_seconds: float = 0.0) -> float | None:
        """Seconds to wait before trying again; None when that would exceed the patience."""
        now = time.monotonic()
        if self._deadline is None:
            self._deadline = now + self._patience_seconds
        # Half of the pause is random, so that a class does not come back as one.
        delay = max(self._delay_seconds * random.uniform(0.5, 1.0), at_least_seconds)
        self._delay_seconds = min(self._delay_seconds * 2, LONGEST_DELAY_SECONDS)
        return delay if now + delay <= self._deadline else None


def call(request: Request, backoff: Backoff) -> Steps[Response]:
    """Send, again while that is safe and the lab is away; returns an answer below 400, raises `Refused` for others."""
    while True:
        try:
            response: Response = yield Send(request)
        except Disconnected as gone:
            delay = backoff.next_delay() if request.repeatable or not gone.sent else None
            if delay is None:
                raise LabUnreachable(str(gone)) from gone
        else:
            try_later = response.status in TRY_LATER and request.repeatable
            delay = backoff.next_delay(retry_after_seconds(response)) if try_later else None
            if delay is None:
                backoff.reset()
                return accepted(response)
        yield Sleep(delay)


def accepted(response: Response) -> Response:
    """The answer itself when it is below 400; raises what its problem says otherwise."""
    _check_version(response)
    if response.status < 400:
        _check_sender(response)
        return response
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        problem = _problem_of_a_stranger(response)
    raise refusal(problem)


def _check_version(response: Response) -> None:
    lab = response.headers.get(LAB_HEADER)
    if lab is not None and not fits(VERSION, lab):
        line = install_line(response.lab, lab)
        raise VersionMismatch(
            f"this client is version {VERSION}, the lab at {response.lab} is {lab}. Install its client: {line}"
        )


def _check_sender(response: Response) -> None:
    """A redirect would lose the token or the body, and a web page is no answer of a lab's interface."""
    if response.status in REDIRECTS:
        target = response.headers.get("location", "elsewhere")
        raise UnexpectedAnswer(f"{response.lab} redirects to {target}; {CHECK_ADDRESS}")
    if is_page(response):
        raise UnexpectedAnswer(f"{response.lab} answers with a web page, not as a lab does; {CHECK_ADDRESS}")


def is_page(response: Response) -> bool:
    return response.headers.get("content-type", "").startswith("text/html") and LAB_HEADER not in response.headers


def retry_after_seconds(response: Response) -> float:
    """The server's wish in `Retry-After`, as far as it is a number of seconds."""
    asked = response.headers.get("retry-after", "")
    return float(asked) if asked.isdecimal() else 0.0


def _problem_of_a_stranger(response: Response) -> Problem:
    """A proxy in between answers in a language of its own."""
    if response.status < 500:
        said = "a web page" if is_page(response) else repr(response.content[:200].decode(errors="replace"))
        raise UnexpectedAnswer(
            f"{response.lab} answers HTTP {response.status} with {said}, not as a lab does; {CHECK_ADDRESS}"
        )
    return Problem(type="about:blank", title="server error", status=response.status, detail=f"HTTP {response.status}")
