"""Question and answer of `program-memory`: what a student's program takes of a card, before it has run on one."""

from typing import Annotated, Literal

from pydantic import Field

from experiments.catalog.notebook.spec import NotebookSpec
from experiments.catalog.script.spec import ScriptSpec
from experiments.contract import Experiment, GpuUse, Result, Spec
from experiments.program_host.spec import datasets_of

SLUG = "program-memory"
DEFAULT_LIMIT_SECONDS = 60


class ProgramMemorySpec(Spec):
    """A run of a program, and the card to run it on."""

    program: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """The program's id, as in the spec of the run."""
    script: ScriptSpec | None = None
    """The run, if it is that of a script."""
    notebook: NotebookSpec | None = None
    """The run, if it is that of a notebook."""
    card: str = Field(default="H100", max_length=50)
    """A card of `emulator/cards.py`."""
    limit_seconds: int = Field(default=DEFAULT_LIMIT_SECONDS, ge=1, le=600)
    """What both runs of the program may take together."""


class StepTaken(Result):
    """From the end of the optimizer step before to the end of this one."""

    optimizer: str
    peak_allocated_bytes: int
    peak_reserved_bytes: int
    peak_phase: str | None
    """`forward`, `backward` or `step`; null if several threads train."""


class ProgramMemoryResult(Result):
    """What the first two optimizer steps took on the emulated card. It was measured inside the program's sandbox."""

    outcome: Literal["fits", "out_of_memory", "not_predicted"]
    reason: str | None
    """Why it ran out of memory, or why nothing is predicted."""
    card: str
    device_bytes: int
    """What the card gives to programs."""
    torch_version: str | None
    steps: list[StepTaken]
    peak_allocated_bytes: int | None
    peak_reserved_bytes: int | None
    peak_phase: str | None
    assumptions: list[str]
    """What the prediction takes for granted, in words."""
    seconds: float


def _datasets(spec: ProgramMemorySpec) -> tuple[str, ...]:
    run = spec.script or spec.notebook
    return () if run is None else datasets_of(run)


EXPERIMENT = Experiment(
    slug=SLUG,
    title="Memory of a program",
    summary="Runs a program for two optimizer steps on an emulated card, in its sandbox, and says what they took.",
    spec=ProgramMemorySpec,
    result=ProgramMemoryResult,
    run="experiments.program_host.measuring:run",
    gpu=GpuUse.NONE,
    datasets=_datasets,
    default_time_limit_seconds=180,
    sandboxed=True,
)
