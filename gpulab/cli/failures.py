"""How a command says what went wrong: one line on stderr, or one JSON object with `--json`, and an exit code."""

import json
import sys
from enum import IntEnum
from typing import Any

import typer

from gpulab.errors import ConfigurationError, GpulabError, JobFailed, LabUnreachable, Refused, UnexpectedAnswer

USAGE_ERROR: type[Exception] = typer.BadParameter.__bases__[0]
"""The base of every complaint about arguments; typer does not export it."""

UNREACHABLE_HINT = " (is it up? name it with --url or GPULAB_URL)"


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
    code = _code(error)
    problem = {"problem": error.problem.model_dump(mode="json")} if isinstance(error, Refused) else {}
    hint = UNREACHABLE_HINT if isinstance(error, LabUnreachable) and not as_json else ""
    _print(type(error).__name__, str(error) + hint, code, as_json=as_json, **problem)
    return code


def report_usage(error: Exception, *, as_json: bool) -> int:
    """Print a complaint about arguments."""
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    context = getattr(error, "ctx", None)
    hint = f" (see {context.command_path} --help)" if context else ""
    _print("UsageError", " ".join(message.split()) + hint, ExitCode.USAGE, as_json=as_json)
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


def _print(kind: str, message: str, code: int, *, as_json: bool, **more: Any) -> None:
    if as_json:
        print(json.dumps({"error": kind, "message": message, "exit_code": int(code), **more}), file=sys.stderr)
    else:
        print(f"gpulab: {message}", file=sys.stderr)
