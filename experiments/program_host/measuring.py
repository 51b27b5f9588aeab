"""Measures a program's first two optimizer steps on an emulated card, inside its sandbox.

The program runs on the CPU side alone: the card's driver is emulated, and nothing is computed on it. A notebook is
measured as a script of its code cells.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emulator.build import BuildError
from emulator.loading import RefusedError
from emulator.measurement import Measurement
from emulator.measuring import measure
from experiments.catalog.notebook.spec import NotebookSpec
from experiments.catalog.script.spec import ScriptSpec
from experiments.internal.program_memory.spec import ProgramMemorySpec
from experiments.program_host.notebook import NotebookUnreadable, inject, read
from experiments.program_host.script import as_arguments, as_python
from experiments.program_host.session import Ended, Session

STEPS = 2
MAX_REASON_CHARACTERS = 1000
PREAMBLE = "from IPython.display import display\n"
MAGIC = ("%", "!", "?")


class NotMeasurableError(Exception):
    """Why a program cannot be measured at all, in words."""


def run(spec: ProgramMemorySpec, session: Session) -> Ended:
    """Measure it; the answer says also why nothing could be measured."""
    del session
    try:
        with _own_run_directory():
            found = measure(
                _command(spec), spec.card, STEPS, limit_seconds=spec.limit_seconds, refuses_beside_a_driver=False
            )
    except (NotMeasurableError, BuildError, RefusedError, ValueError) as error:
        return Ended(0, value=not_measured(spec.card, str(error)))
    print(found.output, end="", flush=True)  # noqa: T201 - goes to the log
    return Ended(0, value=_answer(found))


def not_measured(card: str, reason: str) -> dict[str, Any]:
    """An answer without figures."""
    nothing = dict.fromkeys(("torch_version", "peak_allocated_bytes", "peak_reserved_bytes", "peak_phase"))
    known = {"outcome": "not_predicted", "reason": reason[:MAX_REASON_CHARACTERS], "card": card, "device_bytes": 0}
    return {**nothing, **known, "steps": [], "assumptions": [], "seconds": 0.0}


def _answer(found: Measurement) -> dict[str, Any]:
    return {
        "outcome": found.outcome.value,
        "reason": found.reason and found.reason[:MAX_REASON_CHARACTERS],
        "card": found.environment.card,
        "device_bytes": found.environment.device_bytes,
        "torch_version": found.environment.torch_version,
        "steps": [
            {
                "optimizer": step.optimizer,
                "peak_allocated_bytes": step.peak_allocated_bytes,
                "peak_reserved_bytes": step.peak_reserved_bytes,
                "peak_phase": step.peak_phase,
            }
            for step in found.steps[:STEPS]
        ],
        "peak_allocated_bytes": found.peak_allocated_bytes,
        "peak_reserved_bytes": found.peak_reserved_bytes,
        "peak_phase": found.peak_phase,
        "assumptions": list(found.assumptions),
        "seconds": found.seconds,
    }


def _command(spec: ProgramMemorySpec) -> list[str]:
    if spec.script is not None:
        return _of_script(spec.script)
    if spec.notebook is not None:
        return [str(_of_notebook(spec.notebook))]
    raise NotMeasurableError("neither a script nor a notebook is named")


def _of_script(spec: ScriptSpec) -> list[str]:
    python = as_python([*spec.command, *spec.arguments, *as_arguments(spec.parameters)])
    if python is None:
        raise NotMeasurableError(f"only Python programs are measured, and the command is {spec.command[0]!r}")
    if not python.is_module and not Path(python.name).is_file():
        raise NotMeasurableError(f"the program has no file {python.name!r}")
    return [*(["-m"] if python.is_module else []), python.name, *python.arguments]


def _of_notebook(spec: NotebookSpec) -> Path:
    """A script beside the notebook, with the code of its cells and without what IPython alone understands."""
    path = Path(spec.notebook)
    try:
        notebook = read(path)
    except NotebookUnreadable as error:
        raise NotMeasurableError(str(error)) from None
    inject(notebook, spec.parameters)
    cells = (cell.source for cell in notebook.cells if cell.cell_type == "code")
    script = path.with_suffix(".as-script.py")
    script.write_text(PREAMBLE + "\n".join(map(_plain, cells)), encoding="utf-8")
    return script


def _plain(source: str) -> str:
    """The code of a cell; its magics, and cells that are one as a whole, are left out."""
    if source.lstrip().startswith("%%"):
        return ""
    return "\n".join(
        f"{line[: len(line) - len(line.lstrip())]}pass" if line.lstrip().startswith(MAGIC) else line
        for line in source.splitlines()
    )


@contextmanager
def _own_run_directory() -> Iterator[None]:
    """What the program reports meanwhile counts for nothing."""
    with tempfile.TemporaryDirectory(prefix="measured-") as folder:
        before = os.environ.get("GPULAB_RUN_DIRECTORY")
        os.environ["GPULAB_RUN_DIRECTORY"] = folder
        try:
            yield
        finally:
            if before is not None:
                os.environ["GPULAB_RUN_DIRECTORY"] = before
