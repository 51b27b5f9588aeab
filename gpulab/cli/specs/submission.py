"""A submission as the command line describes it: a slug or a file, a spec, and `-p` options."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpulab.cli.failures import BadInput
from gpulab.errors import InvalidRequest, explain

if TYPE_CHECKING:
    from gpulab.cli.specs.spec_files import SpecFile

STANDARD_INPUT = "-"
SPEC_SUFFIXES = frozenset({".yaml", ".yml", ".json"})
SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(slots=True)
class Submission:
    """What is to be sent, and where in a file each part of it stands."""

    fields: dict[str, Any]
    files: "list[tuple[str, SpecFile]]" = field(default_factory=list)
    """Files by the path at which their content goes; the last one wins."""
    typed: set[str] = field(default_factory=set)
    """Paths that `-p` gave."""

    def place(self, path: str) -> str | None:
        """`order.yaml, line 3`; None for what was typed."""
        if any(f"{path}.".startswith(f"{typed}.") for typed in self.typed):
            return None
        for prefix, file in reversed(self.files):
            if f"{path}.".startswith(prefix):
                return file.place(path.removeprefix(prefix))
        return None

    @contextmanager
    def named(self) -> Iterator[None]:
        """What the lab refuses is said with the line of the file."""
        try:
            yield
        except InvalidRequest as error:
            error.args = (explain(error.problem, self.place),)
            raise


def is_file(target: str) -> bool:
    """Whether the command line means a file and not the name of an experiment or a template."""
    return (
        target == STANDARD_INPUT
        or Path(target).suffix.lower() in SPEC_SUFFIXES
        or Path(target).is_absolute()
        or target.startswith(f".{os.sep}")
    )


def read_submission(target: str, spec: str | None, parameters: list[str]) -> Submission:
    """The submission that a slug or a file, a spec and `-p` options describe. Raises BadInput."""
    submission = (
        _read_submission_file(Path(target)) if is_file(target) else Submission({"experiment": target, "spec": {}})
    )
    if spec is not None:
        submission.fields["spec"] = _read_spec(spec, submission)
    for parameter in parameters:
        key, value = read_parameter(parameter)
        _put(submission.fields["spec"], key.split("."), value)
        submission.typed.add(f"spec.{key}")
    return submission


def read_parameter(text: str) -> tuple[str, Any]:
    """`key=value`; the value is JSON where it reads as JSON, else text. Dots in the key go into objects."""
    key, separator, value = text.partition("=")
    if not (separator and all(key.split("."))):
        raise BadInput(f"-p {text!r} must look like key=value")
    try:
        return key, json.loads(value, parse_constant=str)
    except ValueError:
        return key, value


def seconds(text: str) -> int:
    """`90`, `90s`, `30m`, `2h` or `1d` in seconds. Raises BadInput."""
    match = re.fullmatch(r"(\d{1,9})([smhd]?)", text.strip())
    if match is None:
        raise BadInput(f"--time-limit {text!r} must look like 90, 90s, 30m, 2h or 1d")
    return int(match[1]) * SECONDS[match[2]]


def _read_submission_file(path: Path) -> Submission:
    from gpulab.cli.specs.spec_files import read_mapping
    from gpulab.schemas import JobCreate

    found = read_mapping(path, JobCreate)
    if "experiment" not in found.content:
        raise BadInput(f"{found.name} must name its experiment: `experiment: SLUG`")
    return Submission({**found.content, "spec": found.content.get("spec") or {}}, [("", found)])


def _read_spec(text: str, submission: Submission) -> dict[str, Any]:
    from gpulab.cli.specs.spec_files import parse_json, read_mapping

    if not text.lstrip().startswith("{"):
        found = read_mapping(Path(text))
        submission.files.append(("spec.", found))
        return found.content
    submission.typed.add("spec")
    try:
        spec: dict[str, Any] = parse_json(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"--spec is not a JSON object: {error}") from None
    return spec


def _put(spec: dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        spec = spec.setdefault(part, {})
        if not isinstance(spec, dict):
            raise BadInput(f"-p {'.'.join(path)}: {part} is not an object")
    spec[path[-1]] = value
