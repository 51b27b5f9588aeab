"""Parameters and result of `study-report`."""

from typing import Annotated

from pydantic import AfterValidator, Field

from experiments.contract import Experiment, GpuUse, Result, Spec
from experiments.studies.outcome import RunOutcome
from experiments.studies.question_sets import question

MAX_OUTCOMES = 5000
Line = Annotated[str, Field(max_length=1000)]


def _known(name: str) -> str:
    if question(name) is None:
        raise ValueError("no installed question set has this question")
    return name


QuestionName = Annotated[Line, AfterValidator(_known)]


class StudyReportSpec(Spec):
    """A study's finished runs; the lab fills this in."""

    title: Line
    """The study's title."""
    template: Line | None = None
    """The template, such as `course/1b`; null for a grid."""
    scale: Line | None = None
    """The scale of the template."""
    questions: tuple[QuestionName, ...] = ()
    """The questions to answer, in order, each by its template."""
    notes: tuple[Line, ...] = ()
    """What a reader must know."""
    outcomes: Annotated[tuple[RunOutcome, ...], Field(max_length=MAX_OUTCOMES)] = ()
    """The runs, finished or not."""
    lab: dict[Line, Line] = Field(default_factory=dict)
    """Facts about the lab to print."""


class StudyReportResult(Result):
    """What the report says, in numbers; the report itself is among the artifacts."""

    verdicts: dict[str, int]
    """How many comparisons have each verdict."""
    questions: int
    """Questions answered."""
    figures: int
    """Figures drawn."""
    runs: int
    """Runs of the study."""
    finished: int
    """Those with a result."""


EXPERIMENT = Experiment(
    slug="study-report",
    title="Report of a study",
    summary="Renders the findings of a study as a single page, as Markdown with images, and as JSON.",
    spec=StudyReportSpec,
    result=StudyReportResult,
    run="experiments.internal.study_report.run:run",
    gpu=GpuUse.NONE,
    default_time_limit_seconds=600,
)
