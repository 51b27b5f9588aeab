"""Who may read a program, and whether a spec that names one can run it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from api.auth.principal import Principal
from api.context import App
from api.http.problems import InvalidProgram, ProgramNotFound
from api.programs import statements
from api.sql.database import Row
from gpulab.program_files import ProgramFilesError, checked_path
from models.tables.program import RAN_BY

NAMED_FILES = 10
PYTHON = "python"


async def find(app: App, principal: Principal, sha256: str) -> Row:
    """Raises `ProgramNotFound`, also for a program that the user may not read."""
    if principal.sees_all:
        row = await app.database.row(statements.by_id, sha256=sha256)
    else:
        standing = principal.standing
        row = await app.database.row(
            statements.readable,
            sha256=sha256,
            user_id=principal.id,
            team=standing.team,
            courses=standing.course_ids,
            taught=standing.taught_ids,
        )
    if row is None:
        raise ProgramNotFound(f"no program that you may read has the id {sha256}")
    return row


async def check_runs(app: App, principal: Principal, orders: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Of each experiment with its spec: the user may run its program, which has the file that is to run.

    Raises `InvalidProgram`.
    """
    checked = set()
    for experiment, spec in orders:
        if experiment in RAN_BY and (wanted := (spec["program"], *_entry_point(spec))) not in checked:
            checked.add(wanted)
            await _check_run(app, principal, *wanted)


async def _check_run(app: App, principal: Principal, sha256: str, field: str, path: str | None) -> None:
    try:
        row = await find(app, principal, sha256)
    except ProgramNotFound as error:
        raise _invalid("program", f"{error.detail}; send it first (POST /v1/programs)", sha256) from None
    if path is not None and not any(entry["path"] == path for entry in row.manifest):
        raise _invalid(field, f"the program has no file {path!r}; it has {named(row.manifest)}", path)


def named(manifest: Sequence[Mapping[str, Any]]) -> str:
    """The first files of a program, for a sentence."""
    names = [entry["path"] for entry in manifest]
    more = f" and {len(names) - NAMED_FILES} more" if len(names) > NAMED_FILES else ""
    return ", ".join(repr(name) for name in names[:NAMED_FILES]) + more


def _entry_point(spec: Mapping[str, Any]) -> tuple[str, str | None]:
    """The field that names the file to run, and its path; None where the command says it otherwise."""
    if "notebook" in spec:
        return "notebook", _clean(spec["notebook"])
    command: Sequence[str] = spec.get("command", ())
    is_script = len(command) > 1 and command[0] == PYTHON and command[1].endswith(".py")
    return "command", _clean(command[1]) if is_script else None


def _clean(path: str) -> str:
    try:
        return checked_path(path)
    except ProgramFilesError:
        return path


def _invalid(field: str, message: str, value: str) -> InvalidProgram:
    return InvalidProgram.of(f"spec.{field}", message, value=value)
