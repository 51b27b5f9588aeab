"""What `client.run` and `gpulab run` take for a program: a script, a notebook, or a folder with a command."""

import ast
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpulab.client.programs.folder import read_file, read_folder
from gpulab.client.programs.git import GitState, git_state
from gpulab.errors import ConfigurationError
from gpulab.notebook_parameters import doubts
from gpulab.program_files import Program, ProgramFilesError, ProgramLimits

SCRIPT = ".py"
NOTEBOOK = ".ipynb"


@dataclass(frozen=True, slots=True)
class LocalRun:
    """A program on this machine, and the job that runs it, but for the program's id."""

    program: Program
    name: str
    git: GitState
    experiment: str
    spec: Mapping[str, Any]


def is_program(target: str) -> bool:
    """Whether a command line means a program by it."""
    return Path(target).suffix in {SCRIPT, NOTEBOOK} or Path(target).is_dir()


def doubts_about(target: str | Path, parameters: Mapping[str, Any]) -> list[str]:
    """Parameters that a notebook on this machine does not know or assigns again, a sentence for each."""
    if not parameters or Path(target).suffix != NOTEBOOK:
        return []
    try:
        content = json.loads(Path(target).read_text("utf-8-sig"))
    except (OSError, ValueError):
        return []  # the run says what is wrong with the file
    cells = content.get("cells") if isinstance(content, dict) else None
    if not isinstance(cells, list):
        return []
    return doubts([cell for cell in cells if isinstance(cell, dict)], parameters)


def local_run(
    target: str | Path,
    arguments: Sequence[str],
    *,
    limits: ProgramLimits,
    command: Sequence[str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    datasets: Sequence[str] = (),
) -> LocalRun:
    """Read the program. Raises ConfigurationError, which says what cannot be sent and why."""
    path = Path(target)
    shared = {"parameters": dict(parameters or {}), "datasets": list(datasets)}
    try:
        if path.is_dir():
            spec = {"command": _folder_command(path, command, arguments), **shared}
            return _run(path.resolve(), read_folder(path, limits), path, "script", spec)
        if path.suffix == SCRIPT and path.is_file():
            _check_alone(path)
            spec = {"command": ["python", path.name], "arguments": list(arguments), **shared}
            return _run(path, read_file(path, limits), path.parent, "script", spec)
        if path.suffix == NOTEBOOK and path.is_file():
            if arguments:
                raise ConfigurationError(f"a notebook takes parameters, such as -p lr=0.1, not {arguments[0]!r}")
            spec = {"notebook": path.name, **shared}
            return _run(path, read_file(path, limits), path.parent, "notebook", spec)
    except ProgramFilesError as error:
        raise ConfigurationError(str(error)) from None
    except OSError as error:
        raise ConfigurationError(f"{error.filename or path}: {error.strerror or error}") from None
    raise ConfigurationError(_no_program(path))


def _run(named: Path, program: Program, folder: Path, experiment: str, spec: Mapping[str, Any]) -> LocalRun:
    return LocalRun(program, named.name, git_state(folder), experiment, spec)


def _folder_command(folder: Path, command: Sequence[str] | None, arguments: Sequence[str]) -> list[str]:
    words = [*(command or ()), *arguments]
    if not words:
        raise ConfigurationError(
            f"name the command that runs {folder}, such as: gpulab run {folder} -- python train.py"
        )
    return words


def _check_alone(script: Path) -> None:
    """A script that imports what lies beside it would fail in the lab, where it is alone."""
    try:
        tree = ast.parse(script.read_bytes())
    except (SyntaxError, ValueError):
        return  # the run says it with its line
    for name in sorted(_imported(tree)):
        beside = [script.with_name(f"{name}{SCRIPT}"), script.with_name(name) / "__init__.py"]
        if found := next((path for path in beside if path != script and path.is_file()), None):
            folder = script.parent
            raise ConfigurationError(
                f"{script.name} imports {found.relative_to(folder)}, which would not be sent; send the folder: "
                f"gpulab run {folder} -- python {script.name}"
            )


def _imported(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            names.add(node.module.partition(".")[0])
    return names


def _no_program(path: Path) -> str:
    if not path.exists():
        return f"{path} does not exist"
    return f"{path} is not a program: a program is a Python script (.py), a notebook (.ipynb) or a folder"
