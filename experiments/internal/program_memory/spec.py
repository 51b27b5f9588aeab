"""Question and answer of `program-memory`: what a student's program takes of a card, before it has run on one."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from experiments.catalog.notebook.spec import NotebookSpec
from experiments.catalog.script.spec import ScriptSpec
from experiments.contract import Experiment, GpuUse, Result, Spec
from experiments.program_host.spec import datasets_of

SLUG = "program-memory"
DEFAULT_LIMIT_SECONDS = 60
MAX_BYTES = 2**50
MAX_WORDS_CHARACTERS = 1000
MAX_STEPS, MAX_ASSUMPTIONS = 10, 10
Bytes = Annotated[int, Field(ge=0, le=MAX_BYTES, strict=True)]
Words = Annotated[str, Field(max_length=MAX_WORDS_CHARACTERS)]
Phase = Literal["forward", "backward", "step"]


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
    room_bytes: Bytes | None = None
    """What the tensors of the program may take; null for what the card gives to programs, less a CUDA context."""
    limit_seconds: int = Field(default=DEFAULT_LIMIT_SECONDS, ge=1, le=600)
    """What all runs of the program may take together."""

    @model_validator(mode="after")
    def _names_one_run(self) -> Self:
        if (self.script is None) == (self.notebook is None):
            raise ValueError("name either a script or a notebook")
        return self


class StepTaken(Result):
    """From the end of the optimizer step before to the end of this one."""

    optimizer: Words
    peak_allocated_bytes: Bytes
    peak_reserved_bytes: Bytes
    peak_phase: Phase | None
    """Null if several threads train."""


class ProgramMemoryResult(Result):
    """What the first two optimizer steps took on the emulated card.

    It was measured inside the program's sandbox, and the program can have written anything in its place.
    """

    outcome: Literal["fits", "out_of_memory", "not_predicted"]
    reason: Words | None
    """Why it ran out of memory, or why nothing is predicted."""
    card: Words
    torch_version: Annotated[str, Field(max_length=100)] | None
    steps: Annotated[list[StepTaken], Field(max_length=MAX_STEPS)]
    peak_allocated_bytes: Bytes | None
    """Of a program that ran out of memory: with as much memory as it wants."""
    peak_reserved_bytes: Bytes | None
    peak_phase: Phase | None
    assumptions: Annotated[list[Words], Field(max_length=MAX_ASSUMPTIONS)]
    """What the prediction takes for granted, in words."""
    seconds: float


def run_of(spec: ProgramMemorySpec) -> ScriptSpec | NotebookSpec:
    """The spec of the run whose memory is in question."""
    run = spec.script or spec.notebook
    assert run is not None
    return run


def _datasets(spec: ProgramMemorySpec) -> tuple[str, ...]:
    return datasets_of(run_of(spec))


EXPERIMENT = Experiment(
    slug=SLUG,
    title="Memory of a program",
    summary="Runs a program for two optimizer steps on an emulated card, in its sandbox, and reports their memory.",
    spec=ProgramMemorySpec,
    result=ProgramMemoryResult,
    run="experiments.program_host.measuring:run",
    gpu=GpuUse.NONE,
    datasets=_datasets,
    default_time_limit_seconds=180,
    sandboxed=True,
)
