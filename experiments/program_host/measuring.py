"""Measures a program's first two optimizer steps on an emulated card, inside its sandbox.

The program runs on the CPU side alone: the card's driver is emulated, and nothing is computed on it. A notebook is
measured as a script of its code cells.
"""

import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from emulator.build import BuildError
from emulator.loading import RefusedError
from emulator.measurement import Measurement, Outcome
from emulator.measuring import measure
from emulator.witness import LAST_PATHS_VARIABLE
from emulator.world import ENDLESS_BYTES
from experiments.catalog.notebook.spec import NotebookSpec
from experiments.catalog.script.spec import ScriptSpec
from experiments.internal.program_memory.spec import MAX_WORDS_CHARACTERS, ProgramMemorySpec, run_of
from experiments.program_host.notebook import NotebookUnreadable, inject, read
from experiments.program_host.paths import last_places
from experiments.program_host.script import as_arguments, as_python
from experiments.program_host.session import Ended, Session

STEPS = 2
PREAMBLE = "from IPython.display import display\n"
AROUND_PYTHON = frozenset({"%%time", "%%timeit", "%%capture", "%%prun"})
TIMED = re.compile(r"(\s*(?:[\w, ]+=\s*)?)%time\s+(.+)")
MAGIC = re.compile(r"(\s*(?:[\w, ]+=\s*)?)[%!?]")
MIN_SECONDS = 1.0


class NotMeasurableError(Exception):
    """Why a program cannot be measured at all, in words."""


def run(spec: ProgramMemorySpec, session: Session) -> Ended:
    """Measure it; the answer says also why nothing could be measured."""
    del session
    try:
        with _own_environment(spec):
            found = _measured(_command(spec), spec)
    except (NotMeasurableError, BuildError, RefusedError, ValueError) as error:
        return Ended(0, value=not_measured(spec.card, str(error)))
    print(found.output, end="", flush=True)  # noqa: T201 - goes to the log
    return Ended(0, value=_answer(found))


def _measured(command: list[str], spec: ProgramMemorySpec) -> Measurement:
    """In the room there is; where that is too small, the figures are those of a card with more."""
    found = _in_room(command, spec, spec.room_bytes, spec.limit_seconds)
    if found.outcome is not Outcome.OUT_OF_MEMORY:
        return found
    left = max(spec.limit_seconds - found.seconds, MIN_SECONDS)
    larger = _in_room(command, spec, ENDLESS_BYTES, left)
    if larger.outcome is not Outcome.FITS:
        return replace(found, assumptions=("it takes more than this: it ran out of memory there",))
    return replace(larger, outcome=found.outcome, reason=found.reason)


def _in_room(command: list[str], spec: ProgramMemorySpec, room_bytes: int | None, seconds: float) -> Measurement:
    return measure(
        command, spec.card, STEPS, limit_seconds=seconds, room_bytes=room_bytes, refuses_beside_a_driver=False
    )


def not_measured(card: str, reason: str) -> dict[str, Any]:
    """An answer without figures."""
    nothing = dict.fromkeys(("torch_version", "peak_allocated_bytes", "peak_reserved_bytes", "peak_phase"))
    known = {"outcome": "not_predicted", "reason": _bounded(reason), "card": card}
    return {**nothing, **known, "steps": [], "assumptions": [], "seconds": 0.0}


def _answer(found: Measurement) -> dict[str, Any]:
    return {
        "outcome": found.outcome.value,
        "reason": found.reason and _bounded(found.reason),
        "card": found.environment.card,
        "torch_version": found.environment.torch_version,
        "steps": [
            {
                "optimizer": _bounded(step.optimizer),
                "peak_allocated_bytes": step.peak_allocated_bytes,
                "peak_reserved_bytes": step.peak_reserved_bytes,
                "peak_phase": step.peak_phase,
            }
            for step in found.steps[:STEPS]
        ],
        "peak_allocated_bytes": found.peak_allocated_bytes,
        "peak_reserved_bytes": found.peak_reserved_bytes,
        "peak_phase": found.peak_phase,
        "assumptions": [_bounded(assumption) for assumption in found.assumptions],
        "seconds": found.seconds,
    }


def _bounded(words: str) -> str:
    return words[:MAX_WORDS_CHARACTERS]


def _command(spec: ProgramMemorySpec) -> list[str]:
    run = run_of(spec)
    return _of_script(run) if isinstance(run, ScriptSpec) else _of_notebook(run)


def _of_script(spec: ScriptSpec) -> list[str]:
    python = as_python([*spec.command, *spec.arguments, *as_arguments(spec.parameters)])
    if python is None:
        raise NotMeasurableError(f"only Python programs are measured, and the command is {spec.command[0]!r}")
    if not python.is_module and not Path(python.name).is_file():
        raise NotMeasurableError(f"the program has no file {python.name!r}")
    return [*(["-m"] if python.is_module else []), python.name, *python.arguments]


def _of_notebook(spec: NotebookSpec) -> list[str]:
    """A script beside the notebook, with the code of its cells and without what IPython alone understands.

    It starts in the notebook's folder, as a kernel does.
    """
    path = Path(spec.notebook)
    try:
        notebook = read(path)
    except NotebookUnreadable as error:
        raise NotMeasurableError(str(error)) from None
    inject(notebook, spec.parameters)
    cells = (cell.source for cell in notebook.cells if cell.cell_type == "code")
    script = path.with_suffix(".as-script.py")
    script.write_text(PREAMBLE + "\n".join(map(_plain, cells)), encoding="utf-8")
    os.chdir(script.parent)
    return [script.name]


def _plain(source: str) -> str:
    """The code of a cell. Of magics that time or capture Python the Python stays; all others are left out."""
    first, _, rest = source.lstrip().partition("\n")
    if first.startswith("%%"):
        return _plain(rest) if first.split()[0] in AROUND_PYTHON else ""
    return "\n".join(map(_plain_line, source.splitlines()))


def _plain_line(line: str) -> str:
    if (timed := TIMED.match(line)) is not None:
        return f"{timed[1]}{timed[2]}"
    if (magic := MAGIC.match(line)) is not None:
        return f"{magic[1]}None" if magic[1].strip() else f"{magic[1]}pass"
    return line


@contextmanager
def _own_environment(spec: ProgramMemorySpec) -> Iterator[None]:
    """As the program's own run would have it, but that what it reports meanwhile counts for nothing."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="measured-") as folder:
        os.environ["GPULAB_RUN_DIRECTORY"] = folder
        os.environ["GPULAB_PARAMETERS"] = json.dumps(run_of(spec).parameters)
        os.environ[LAST_PATHS_VARIABLE] = os.pathsep.join(last_places())
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)
