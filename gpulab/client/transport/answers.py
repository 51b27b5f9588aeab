"""What an answer means: a lab's answer, its refusal, or the answer of something that is no lab."""

from typing import TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from gpulab.errors import UnexpectedAnswer, VersionMismatch, refusal
from gpulab.schemas import Problem
from gpulab.version import LAB_HEADER, VERSION, fits, install_line

M = TypeVar("M", bound=BaseModel)

REDIRECTS = frozenset({301, 302, 303, 307, 308})
CHECK_ADDRESS = "is this a gpulab lab? Check GPULAB_URL or --url"
TRY_LATER = frozenset({429, 502, 503, 504})


def parsed(model: type[M], response: httpx.Response, lab: str) -> M:
    """The body as `model`; UnexpectedAnswer if it is something else."""
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        stranger = "" if LAB_HEADER in response.headers else f"; {CHECK_ADDRESS}"
        what = f"cannot read the answer of {lab} as {model.__name__}: {where}: {first['msg']}{stranger}"
        raise UnexpectedAnswer(what) from None


def accepted(response: httpx.Response, lab: str) -> httpx.Response:
    """The answer itself if it is below 400; otherwise raises what its problem says. `lab` is the lab's address."""
    _check_version(response, lab)
    if response.status_code < 400:
        _check_sender(response, lab)
        return response
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        problem = _problem_of_a_stranger(response, lab)
    raise refusal(problem)


def retry_after_seconds(response: httpx.Response) -> float:
    """`Retry-After`, if it is a number of seconds; otherwise 0."""
    asked = response.headers.get("retry-after", "")
    return float(asked) if asked.isdecimal() else 0.0


def _check_version(response: httpx.Response, lab: str) -> None:
    version = response.headers.get(LAB_HEADER)
    if version is not None and not fits(VERSION, version):
        line = install_line(lab, version)
        raise VersionMismatch(
            f"this client is version {VERSION}, the lab at {lab} is {version}. Install its client: {line}"
        )


def _check_sender(response: httpx.Response, lab: str) -> None:
    """A redirect would lose the token or the body, and a lab's interface never answers with a web page."""
    if response.status_code in REDIRECTS:
        target = response.headers.get("location", "elsewhere")
        raise UnexpectedAnswer(f"{lab} redirects to {target}; {CHECK_ADDRESS}")
    if _is_page(response):
        raise UnexpectedAnswer(f"{lab} answers with a web page and is not a lab; {CHECK_ADDRESS}")


def _is_page(response: httpx.Response) -> bool:
    return response.headers.get("content-type", "").startswith("text/html") and LAB_HEADER not in response.headers


def _problem_of_a_stranger(response: httpx.Response, lab: str) -> Problem:
    """A proxy in between answers in its own format."""
    status = response.status_code
    if status < 500:
        said = "a web page" if _is_page(response) else repr(response.content[:200].decode(errors="replace"))
        raise UnexpectedAnswer(f"{lab} answers HTTP {status} with {said} and is not a lab; {CHECK_ADDRESS}")
    return Problem(type="about:blank", title="server error", status=status, detail=f"HTTP {status}")
