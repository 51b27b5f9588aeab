"""Parameters of `program-check`: an instructor's program, and the run that it looks at."""

from uuid import UUID

from experiments.catalog.script.spec import ScriptSpec
from experiments.contract import Experiment, GpuUse
from experiments.program_host.spec import ProgramResult, datasets_of

SLUG = "program-check"


class ProgramCheckSpec(ScriptSpec):
    """A command of the check's own program; the lab fills in what was handed in."""

    submission: UUID
    """The job that was handed in. Its files are in `submission/` of the check's folder."""


EXPERIMENT = Experiment(
    slug=SLUG,
    title="Check of a submission",
    summary="Runs an instructor's program on the files of a submitted run.",
    spec=ProgramCheckSpec,
    result=ProgramResult,
    run="experiments.program_host.script:run",
    gpu=GpuUse.NONE,
    datasets=datasets_of,
    default_time_limit_seconds=600,
    sandboxed=True,
)
