"""Parameters of `script`: a student's own program and the command that runs it."""

from functools import partial
from typing import Annotated

from pydantic import Field

from experiments.contract import Experiment
from experiments.program_host.spec import (
    MAX_PARAMETERS,
    Parameter,
    ProgramResult,
    ProgramSpec,
    Text,
    datasets_of,
    program_run,
)

SLUG = "script"
MAX_WORDS = 200
ParameterName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,63}$")]


class ScriptSpec(ProgramSpec):
    """A command in the program's folder, such as `python train.py`, with its arguments and parameters."""

    command: Annotated[tuple[Text, ...], Field(min_length=1, max_length=MAX_WORDS)]
    """The command and its fixed arguments, such as `["python", "train.py"]`, `["python", "-m", "package"]` or
    `["bash", "run.sh"]`. It runs in the folder of the program's files."""
    arguments: Annotated[tuple[Text, ...], Field(max_length=MAX_WORDS)] = ()
    """Further arguments, appended to the command unchanged."""
    parameters: dict[ParameterName, Parameter] = Field(default_factory=dict, max_length=MAX_PARAMETERS)
    """Named values, appended as `--name value`, or as `--name=value` if the value begins with a dash. True becomes
    `--name`; false and null are left out. The program can also read all of them from `gpulab.run.parameters`."""


EXPERIMENT = Experiment(
    slug=SLUG,
    title="Your own script",
    summary="Runs a command of a program that you sent, such as `python train.py --lr 0.1`, in a sandbox.",
    spec=ScriptSpec,
    result=ProgramResult,
    run="experiments.program_host.script:run",
    datasets=datasets_of,
    workload=partial(program_run, SLUG),
    sandboxed=True,
)
