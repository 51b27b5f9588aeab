"""What can go wrong for a client of the lab.

GpulabError
├── ConfigurationError      the URL, the token file or something to be sent cannot be used
├── LabUnreachable          no answer, also after trying again
├── UnexpectedAnswer        an answer that is not in the lab's language
├── VersionMismatch         client and lab are of versions that do not fit
├── WaitTimeout             the job was not final in time (also a TimeoutError)
├── DownloadFailed          an artifact could not be fetched whole
├── JobFailed               asked for by `Job.raise_for_failure()`
└── Refused                 the lab answered with a problem; `problem` holds it, `slug` names its type
    ├── InvalidRequest      400, 413, 422
    ├── Unauthenticated     401
    ├── Forbidden           403
    ├── NotFound            404, 410
    ├── Conflict            409, 412
    ├── TooManyRequests     429
    └── ServerError         5xx
"""
# ruff: noqa: N818 - the names state what happened

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpulab.schemas import InvalidField, Problem

MAX_OPTIONS = 8
"""For a longer list, the message names only values that are similar to what was sent."""
MAX_FIELDS = 5
"""For more wrong fields, such as those of a table with a wrong column, the message has their number."""


CELL = re.compile(r"csv\.(\d+)(?:\.(\w+))?")


class GpulabError(Exception):
    """Base of everything this package raises on purpose."""


class ConfigurationError(GpulabError, ValueError):
    """The URL, the token, the token file or something to be sent cannot be used."""


class LabUnreachable(GpulabError, ConnectionError):
    """No lab answered, even after retries for `retry_seconds`."""


class UnexpectedAnswer(GpulabError):
    """Something answered that does not speak the lab's interface."""


class VersionMismatch(GpulabError):
    """Client and lab are of versions that do not fit; the message has the line that installs the lab's client."""


class WaitTimeout(GpulabError, TimeoutError):
    """The job was not final in time. It goes on in the lab."""


class DownloadFailed(GpulabError):
    """An artifact could not be fetched whole; nothing was left under its name."""


class JobFailed(GpulabError):
    """The job ended as `failed` or `cancelled`."""

    def __init__(self, message: str, *, cause: str | None) -> None:
        super().__init__(message)
        self.cause = cause


class Refused(GpulabError):
    """The lab understood and said no. `str()` is one line that names field, limit and value where there are any."""

    def __init__(self, problem: "Problem") -> None:
        super().__init__(explain(problem))
        self.problem = problem

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.problem.status

    @property
    def slug(self) -> str:
        """The stable last part of the problem's type, such as `invalid-spec`."""
        return self.problem.type.rstrip("/").rpartition("/")[2]

    @property
    def errors(self) -> "list[InvalidField]":
        """Each field that is wrong, with its path, limit and value."""
        return self.problem.errors or []


class InvalidRequest(Refused):
    """Something sent is wrong; `errors` names the fields."""


class Unauthenticated(Refused):
    """The token is missing, unknown or expired."""


class Forbidden(Refused):
    """The token is good but may not do this."""


class NotFound(Refused):
    """There is no such thing, or none that this token may see."""


class Conflict(Refused):
    """The thing is in a state that does not allow this."""


class TooManyRequests(Refused):
    """A limit per person was reached."""


class ServerError(Refused):
    """The lab failed; the request may be fine."""


_KINDS: dict[int, type[Refused]] = {
    400: InvalidRequest,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: NotFound,
    412: Conflict,
    413: InvalidRequest,
    422: InvalidRequest,
    429: TooManyRequests,
}


def refusal(problem: "Problem") -> Refused:
    """The exception for a problem, chosen by its status."""
    return _KINDS.get(problem.status, ServerError if problem.status >= 500 else Refused)(problem)


def explain(problem: "Problem", place: "Callable[[str], str | None]" = lambda _path: None) -> str:
    """One line: each wrong field with what is allowed and what was sent, or else the problem's own sentence.

    `place` says where a field was written, such as the line of a file.
    """
    if problem.errors:
        shown = problem.errors[:MAX_FIELDS]
        places = [place(error.path) for error in shown]
        lines = [
            (f"{where}: " if where else "") + _explain_field(error) for where, error in zip(places, shown, strict=True)
        ]
        more = len(problem.errors) - len(shown)
        return "; ".join([*lines, f"and {more} more like these"] if more else lines)
    return problem.detail or problem.title


def _explain_field(error: "InvalidField") -> str:
    options = _options(error)
    if len(options) > MAX_OPTIONS and isinstance(error.value, str):
        known = f"{error.value!r} is not one of the {len(options)} known values"
        return f"{error.path}: {known}{_nearest(error.value, options)}"
    facts = [f"{name} {limit}" for name, limit in (error.limit or {}).items() if not _says(error.message, name, limit)]
    if error.value is not None:
        facts.append(f"got {error.value!r}")
    return f"{_in_words(error.path)}: {error.message}" + (f" ({', '.join(facts)})" if facts else "")


def _in_words(path: str) -> str:
    """`line 3, email` for a cell of a table that was sent; other fields by their path."""
    return CELL.sub(lambda found: f"line {found[1]}" + (f", {found[2]}" if found[2] else ""), path)


def _says(message: str, name: str, limit: object) -> bool:
    """Whether the message has the limit already, in words. Nobody reads a pattern."""
    if name in {"enum", "expected"}:
        options = [str(option) for option in limit] if isinstance(limit, list) else re.findall(r"'([^']*)'", str(limit))
        return bool(options) and all(option in message for option in options)
    if name == "pattern" or "it must be later than" in message or message == "must not be empty":
        return True
    numbers = map(float, re.findall(r"-?\d+(?:\.\d+)?", message))
    return isinstance(limit, int | float) and float(limit) in numbers


def _options(error: "InvalidField") -> list[str]:
    """What a choice would have allowed."""
    limit = error.limit or {}
    allowed = limit.get("enum", limit.get("expected", ""))
    return re.findall(r"'([^']*)'", allowed) if isinstance(allowed, str) else [str(option) for option in allowed]


def _nearest(value: str, options: list[str]) -> str:
    from difflib import get_close_matches

    found = get_close_matches(value, options, cutoff=0.5)
    return f"; similar: {', '.join(found)}" if found else f", such as {', '.join(options[:MAX_OPTIONS])}"
