"""What every run of a student's program has: its parameters, its data sets, its result. No torch here."""

from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator

from experiments.contract import Result, Spec
from gpulab.run.values import check_result

if TYPE_CHECKING:
    from experiments.memory.contract import ProgramRun

MAX_PARAMETERS = 100
MAX_TEXT_CHARACTERS = 4096

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Text = Annotated[str, Field(max_length=MAX_TEXT_CHARACTERS, pattern=r"^[^\x00]*$")]
Parameter = (
    Annotated[StrictStr, Field(max_length=MAX_TEXT_CHARACTERS, pattern=r"^[^\x00]*$")]
    | StrictBool
    | StrictInt
    | StrictFloat
    | None
)
DatasetName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]


class ProgramSpec(Spec):
    """A program, by the SHA-256 of its content, and the data sets that it reads."""

    program: Sha256
    """The program's id: the SHA-256 of its content, as `POST /v1/programs` returns it."""
    datasets: Annotated[tuple[DatasetName, ...], Field(max_length=20)] = ()
    """Data sets that the program reads, by name. Only nodes that have them run it."""


class ProgramResult(Result):
    """What the program reported as its result: numbers, texts, true or false, by name."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=True)

    __pydantic_extra__: dict[str, Any] = Field(init=False)

    @model_validator(mode="after")
    def _has_scalars(self) -> Self:
        check_result(self.__pydantic_extra__)
        return self


def datasets_of(spec: ProgramSpec) -> tuple[str, ...]:
    """The names of the data sets, each once."""
    return tuple(dict.fromkeys(spec.datasets))


def program_run(experiment: str, spec: ProgramSpec) -> "ProgramRun":
    """What the lab predicts the memory of."""
    # A program's host reads this module too, and has no use for predictions.
    from experiments.memory.contract import ProgramRun

    return ProgramRun(experiment=experiment, spec=spec.model_dump(mode="json"))
