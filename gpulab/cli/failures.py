"""How a command says what went wrong: one line on stderr, or one JSON object with `--json`, and an exit code."""

import json
import sys
from enum import IntEnum
from typing import Any

import typer

from gpulab.errors import ConfigurationError, GpulabError, JobFailed, LabUnreachable, Refused, UnexpectedAnswer

USAGE_ERROR: type[Exception] = typer.BadParameter.__bases__[0]
"""The base of every complaint about arguments; typer does not export it."""

UNREACHABLE_HINT = " (is it running? `gpulab sign-in ADDRESS` names another lab; so do --url and GPULAB_URL)"


class ExitCode(IntEnum):
    OK = 0
    JOB_FAILED = 1
    USAGE = 2
    REFUSED = 3
    UNREACHABLE = 4
    INTERRUPTED = 130


class BadInput(ConfigurationError):  # noqa: N818 - the name states what happened
    """Something typed or a file named by it cannot be used."""


def report(error: GpulabError, *, as_json: bool) -> int:
    """Print the error and return the exit code it stands for."""
    hint = UNREACHABLE_HINT if isinstance(error, LabUnreachable) and not as_json else ""
    facts = described(error)
    _print(facts, facts["message"] + hint, as_json=as_json)
    return int(facts["exit_code"])


def report_on(name: str, error: GpulabError, *, as_json: bool) -> dict[str, Any]:
    """Print what went wrong with one thing of several; returns it as JSON."""
    facts = {"id": name, **described(error)}
    _print(facts, f"{name}: {facts['message']}", as_json=as_json)
    return facts


def described(error: GpulabError) -> dict[str, Any]:
    """The error as JSON."""
    problem = {"problem": error.problem.model_dump(mode="json")} if isinstance(error, Refused) else {}
    return {"error": type(error).__name__, "message": str(error), "exit_code": int(_code(error)), **problem}


def as_failure(error: GpulabError | OSError) -> GpulabError:
    """A folder that cannot be made, a full disk: the user's to mend, like a bad argument."""
    if isinstance(error, GpulabError):
        return error
    what = error.strerror or str(error)
    return BadInput(what if error.filename is None else f"{what}: {str(error.filename)!r}")


def report_usage(error: Exception, *, as_json: bool) -> int:
    """Print a complaint about arguments."""
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    if not message:  # the help was shown in place of a message
        return ExitCode.USAGE
    context = getattr(error, "ctx", None)
    text = " ".join(message.split()) + (f" (see {context.command_path} --help)" if context else "")
    _print({"error": "UsageError", "message": text, "exit_code": int(ExitCode.USAGE)}, text, as_json=as_json)
    return ExitCode.USAGE


def _code(error: GpulabError) -> ExitCode:
    match error:
        case JobFailed():
            return ExitCode.JOB_FAILED
        case ConfigurationError():
            return ExitCode.USAGE
        case LabUnreachable() | UnexpectedAnswer():
            return ExitCode.UNREACHABLE
    return ExitCode.REFUSED


def _print(facts: dict[str, Any], line: str, *, as_json: bool) -> None:
    print(json.dumps(facts) if as_json else f"gpulab: {line}", file=sys.stderr)
