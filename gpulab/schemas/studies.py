"""Studies on the wire: many runs that answer one question; and the question sets they come from."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, JsonValue

from gpulab.schemas.base import Incoming, Int64, JsonObject, Line, Outgoing, Seed
from gpulab.schemas.users import AnId
from gpulab.states import Audience, JobState, Priority

MAX_STUDY_SEEDS = 200
MAX_GRID_FIELDS = 100
Seeds = Annotated[list[Seed], Field(min_length=1, max_length=MAX_STUDY_SEEDS)]
StudyState = Literal["running", "succeeded", "failed", "cancelled"]
"""`running` until every run is final; then `succeeded` where all did."""


class StudyCreate(Incoming):
    """A template of an installed question set at a scale, or a grid over the fields of one experiment."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"template": "course/1b", "scale": "smoke"},
                {
                    "experiment": "dropout-linear",
                    "base": {"method": "closed_form"},
                    "grid": {"dropout": [0.1, 0.5]},
                    "seeds": [0],
                },
            ]
        }
    )

    template: Line | None = None
    """A question, a part or all of a set: `course/1b`, `course/4`, `course/all`. `GET /v1/question-sets` lists them."""
    scale: Line | None = None
    """How large a template is asked: `smoke` (seconds), `cpu` (minutes on two cores), `full` (the set's own sizes)."""
    experiment: Line | None = None
    """Slug of the experiment of a grid."""
    base: JsonObject = Field(default_factory=dict)
    """Fields of the spec that all runs of a grid share."""
    grid: Annotated[dict[str, list[JsonValue]], Field(max_length=MAX_GRID_FIELDS)] = Field(default_factory=dict)
    """Fields of the spec with the values to combine. A dot names one entry: `parameters.lr` of a script."""
    seeds: Seeds | None = None
    """Seeds of every combination; a template has its own for each scale, a grid has 0."""
    fresh: bool = False
    """True runs everything anew; else a run of yours that succeeded with the same spec and seed is taken over."""
    name: Line | None = None
    """A name for users."""
    priority: Annotated[Priority, Field(strict=False)] = Priority.NORMAL
    """Priority class of the runs."""
    course_id: AnId | None = None
    """The course that it is for; null: the one you joined last."""


class SeedsAdd(Incoming):
    """Seeds that a study should have too."""

    seeds: Seeds
    """Those that it has already change nothing."""
    fresh: bool = False
    """True runs the new ones anew even where you have such a run."""


class StatisticRead(Outgoing):
    """One number over the runs of a cell."""

    mean: float
    sd: float | None
    """Standard deviation (n - 1); null for a single run."""
    min: float
    max: float
    n: int


class NamedRunRead(Outgoing):
    """A run that a reader of the table must know of."""

    seed: Int64
    job_id: UUID | None
    why: str
    """`collapsed`, or how it failed."""


class CellRead(Outgoing):
    """One row of the comparison: the runs that differ in the seed alone."""

    cell: dict[str, Any]
    """The coordinates."""
    experiment: str
    runs: int
    states: dict[str, int]
    job_ids: list[UUID]
    reported_by: Literal["lab", "program"] = "lab"
    """Who the results' numbers are from: `program` for what a student's program says of itself."""
    fields: dict[str, StatisticRead]
    """Statistics of the results' numbers, by field."""
    collapsed: list[NamedRunRead]
    """Trainings that gave every image the same class."""
    failed: list[NamedRunRead]
    """Runs that ended without a result."""


class QuestionProgressRead(Outgoing):
    """How far the runs of one question are. Several questions can use the same run."""

    question: str
    """Its template: `course/1b`."""
    title: str
    runs: int
    final: int
    succeeded: int


class StudySummary(Outgoing):
    """A study in a list."""

    id: UUID
    template: str | None
    scale: str | None
    title: str
    name: str | None
    owner: str
    state: StudyState
    runs: int
    reused: int
    """Runs taken over from earlier jobs."""
    states: dict[JobState, int]
    """How many runs are in each state."""
    progress: float
    """0 to 1; a final run counts as done."""
    created_at: datetime
    cancelled_at: datetime | None
    report_job_id: UUID | None
    """The job that rendered the latest report."""
    shared_with: Audience | None = None
    """Who besides its owner and staff may read it and its runs."""
    owner_id: UUID | None = None
    """The owner's id; several users may have their name."""


class StudyRead(StudySummary):
    """A study with what its runs say so far."""

    seeds: list[Int64]
    notes: list[str]
    """What a reader must know, such as a data set that stood in for another."""
    questions: list[QuestionProgressRead]
    comparison: list[CellRead]


class StudyFieldRead(Outgoing):
    """A field that differs between the runs of a study."""

    name: str
    values: list[Any]
    """Its values: numbers in their order, others as they come first."""


class StudyTrainingRead(Outgoing):
    """One run, or one replica of a run that trains several seeds."""

    job_id: UUID | None
    seed: Int64
    state: JobState
    why: str
    """How it failed; empty otherwise."""
    values: list[Any]
    """Its value of each field of `fields`; null where it has none."""
    numbers: list[float | None]
    """Its number of each result of `results`."""


class FieldValueRead(Outgoing):
    """A result at one value of a field, over all other fields."""

    value: Any
    mean: float | None
    """Mean over all combinations with this value, which weigh the same. Where one has no result, the mean of the runs
    that are there."""
    low: float | None
    """Lower end of the 95 % interval (jackknife over the seeds); null where there are too few seeds."""
    high: float | None
    runs: int
    """Runs with a result."""
    failed: int
    """Runs that ended without one."""


class FieldShareRead(Outgoing):
    """How much of the variance a field explains by itself."""

    field: str
    share: float
    """0 to 1: of the variance of the main effect."""
    low: float | None
    high: float | None


class ImportanceRead(Outgoing):
    """The variance of a result in parts: analysis of variance of the means of all combinations, omega squared.

    The main effect of a field is the part that its value alone explains. Shares are corrected for what chance alone
    would explain. Intervals are 95 %: delete-one jackknife over the seeds, with Student's t.
    """

    fields: list[FieldShareRead]
    combinations: float | None
    """What only the combination of values explains."""
    between_seeds: float | None
    """What differs from seed to seed; null with one run a combination, where it is part of `combinations`."""
    runs: int
    """Runs with a result."""
    seed_count: int
    """Their seeds."""
    reason: str | None
    """Why there are no shares; null where there are."""
    no_interval: str | None
    """Why the shares have no intervals; null where they have."""


class StudyEffectRead(Outgoing):
    """What the fields do to one result."""

    result: str
    fields: list[list[FieldValueRead]]
    """For each field of `fields`, the result at each of its values."""
    importance: ImportanceRead


class StudyEffectsRead(Outgoing):
    """What the fields of a study do to its results: the numbers behind its charts."""

    experiment: str
    experiments: list[str]
    """The experiments of the study; the runs of one are compared."""
    known_results: list[str]
    """All numbers that the runs have; those that are the same in every run come last."""
    results: list[str]
    """The numbers shown here."""
    fields: list[StudyFieldRead]
    trainings: list[StudyTrainingRead]
    effects: list[StudyEffectRead]


class StudyPage(Outgoing):
    items: list[StudySummary]
    next_cursor: str | None


class StudyReportRead(Outgoing):
    """Why a report is not there yet."""

    study_id: UUID
    state: Literal["waiting", "rendering"]
    """`waiting` for runs, or `rendering` in the job `report_job_id`."""
    unfinished: int
    """Runs that are not final."""
    report_job_id: UUID | None


class TemplateRead(Outgoing):
    template: str
    """The name to submit a study with: `course/1b`."""
    title: str


class QuestionSetRead(Outgoing):
    """A question set: questions that the lab can answer by studies."""

    slug: str
    """What the names of its templates begin with."""
    whole: TemplateRead
    """All its questions as one study."""
    parts: list[TemplateRead]
    questions: list[TemplateRead]


class QuestionSetPage(Outgoing):
    items: list[QuestionSetRead]
    broken: list[dict[str, str]]
    """Question sets that could not be loaded, with the reason."""


class StudyDeleted(Outgoing):
    """What became of a study and its runs."""

    runs_deleted: int
    """With its reports."""
    runs_kept: int
    """Runs that were handed in, or that another study has too: they stay, outside of the study."""
