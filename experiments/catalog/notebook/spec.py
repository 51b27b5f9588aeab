"""Parameters of `notebook`: a notebook of a student's own program."""

import keyword
import unicodedata
from functools import partial
from typing import Annotated

from pydantic import AfterValidator, Field

from experiments.contract import Experiment
from experiments.program_host.spec import (
    MAX_PARAMETERS,
    Parameter,
    ProgramResult,
    ProgramSpec,
    datasets_of,
    program_run,
)

SLUG = "notebook"


def _variable(name: str) -> str:
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError(f"a parameter of a notebook is a Python variable, and {name!r} cannot be the name of one")
    if (meant := unicodedata.normalize("NFKC", name)) != name:
        raise ValueError(f"Python reads the name {name!r} as {meant!r}; use that")
    return name


ParameterName = Annotated[str, Field(max_length=64), AfterValidator(_variable)]


class NotebookSpec(ProgramSpec):
    """A notebook in the program's folder, and values that replace those of its cell tagged `parameters`."""

    notebook: Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^/\x00][^\x00]*\.ipynb$")]
    """The notebook's path in the program, such as `lesson.ipynb`."""
    parameters: dict[ParameterName, Parameter] = Field(default_factory=dict, max_length=MAX_PARAMETERS)
    """Variables to set. They are assigned in a new cell after the first cell tagged `parameters`, or at the top."""
    cell_timeout_seconds: int | None = Field(default=None, ge=1, le=7 * 24 * 3600)
    """Maximum time of one cell. Null means only the job's time limit."""


EXPERIMENT = Experiment(
    slug=SLUG,
    title="Your own notebook",
    summary="Runs every cell of a notebook that you sent, with your parameters, and keeps it with its outputs.",
    spec=NotebookSpec,
    result=ProgramResult,
    run="experiments.program_host.notebook:run",
    datasets=datasets_of,
    workload=partial(program_run, SLUG),
    sandboxed=True,
)
