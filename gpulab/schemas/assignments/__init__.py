"""Assignments on the wire."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, JsonValue, StringConstraints

from gpulab.schemas.assignments.grades import DeductionUnit, GradeRead, Points
from gpulab.schemas.base import Incoming, Int64, JsonObject, Line, Outgoing
from gpulab.schemas.jobs import JobSummary
from gpulab.schemas.users import AnId, Time
from gpulab.states import FailureCause, JobState

Text = Annotated[str, StringConstraints(min_length=1, max_length=5000)]
Names = Annotated[list[Line], Field(max_length=50)]
Tolerance = Annotated[float, Field(ge=0, le=1)]
DEFAULT_TOLERANCE = 1e-5
LateDays = Annotated[int, Field(ge=0, le=366)]
Deduction = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]


class StarterOrder(Incoming):
    """The program from which students begin, as a job that runs it. They can read it, download it and run it."""

    experiment: Literal["script", "notebook"]
    spec: JsonObject
    """Of the job: its program, its command or notebook, its parameters."""


class CheckOrder(Incoming):
    """A program of yours that looks at what a student handed in, and says points. Students never see it."""

    spec: JsonObject
    """Its program and its command, as of the experiment `script`."""
    max_points: Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]
    time_limit_seconds: Annotated[int, Field(ge=1, le=86_400)] = 600


class CheckRead(Outgoing):
    """How the check of a hand-in stands."""

    state: Literal["waiting", "done", "failed"]
    """`failed`: it did not end well, or said no points between 0 and the maximum."""
    points: float | None
    max_points: float
    words: str | None
    """What the check says about the work, or why it failed."""
    job_id: UUID | None
    """The check's job; null for students."""


class AssignmentCreate(Incoming):
    """What a class is to hand in, and until when. Templates or experiments say which runs belong to it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Homework 1", "deadline": "2030-01-31", "templates": ["course/1b"]}]}
    )

    name: Line
    """Unique in its course."""
    course_id: AnId | None = None
    """The course that it is for; null: the only open one that you teach."""
    deadline: Time
    """A date, which is the end of that day, or a time: in the lab's time zone unless it has an offset."""
    description: Text | None = None
    templates: Names = Field(default_factory=list)
    """Study templates: `course/1b`, `course/2`. A run of one of their questions is work on the assignment."""
    experiments: Names = Field(default_factory=list)
    """Experiments of which every run is work on it."""
    tolerance: Tolerance = DEFAULT_TOLERANCE
    """Relative; how far a number of a re-run may lie from the one handed in."""
    max_points: Points | None = None
    """The most that a submission can get; null takes the most that the hidden check or the re-run gives."""
    rerun_points: Points | None = None
    """Points for a submission whose re-run lies within the tolerance, and 0 for another; null gives none."""
    starter: StarterOrder | None = None
    """The program from which students begin."""
    hidden_check: CheckOrder | None = None
    """The check that runs after each hand-in."""
    late_days: LateDays | None = None
    """Days after the deadline during which late work is accepted: 0 accepts none, null sets no limit."""
    late_deduction: Deduction = 0.0
    """What each day that has begun after the deadline takes off the points."""
    late_deduction_unit: DeductionUnit = "percent"
    """Percent of the points that the work has earned, or points."""
    answers_after_deadline: bool = True
    """Whether students see correct answers and verdicts only once they can hand in no more; staff always see them."""


class AssignmentUpdate(Incoming):
    """What to change; what is left out stays. Null takes a description, programs, points or a late limit away."""

    name: Line | None = None
    deadline: Time | None = None
    description: Text | None = None
    templates: Names | None = None
    experiments: Names | None = None
    tolerance: Tolerance | None = None
    max_points: Points | None = None
    rerun_points: Points | None = None
    starter: StarterOrder | None = None
    hidden_check: CheckOrder | None = None
    late_days: LateDays | None = None
    late_deduction: Deduction | None = None
    late_deduction_unit: DeductionUnit | None = None
    answers_after_deadline: bool | None = None
    points_released: bool | None = None
    """Whether students see their grades and what the check says."""


class ExtensionOrder(Incoming):
    """A later deadline for one user or for one section; a second one for the same replaces the first."""

    user_id: AnId | None = None
    section: Line | None = None
    deadline: Time
    """As of an assignment; later than the assignment's own."""
    reason: Text | None = None
    """For staff alone."""


class ExtensionRead(Outgoing):
    id: UUID
    user_id: UUID | None
    user: str | None
    section: str | None
    deadline: datetime
    deadline_text: str
    reason: str | None
    created_at: datetime


class ExtensionList(Outgoing):
    items: list[ExtensionRead]


class DeadlineChangeRead(Outgoing):
    at: datetime
    before: datetime
    after: datetime


class StarterRead(Outgoing):
    experiment: str
    spec: dict[str, Any]


class HiddenCheckRead(Outgoing):
    """The program that looks at each hand-in and says points."""

    spec: dict[str, Any]
    """Its program and its command, as of the experiment `script`."""
    max_points: float
    time_limit_seconds: int


class SubmissionRead(Outgoing):
    """A user's submission."""

    assignment_id: UUID
    user_id: UUID
    user: str
    job_id: UUID
    experiment: str
    """Of the run."""
    name: str | None
    """Of the run."""
    pinned_at: datetime
    late: bool
    """Whether it was pinned after the student's deadline."""
    due_at: datetime
    """The student's deadline: the assignment's, or a later one by an extension."""
    days_late: int
    """Days that had begun after it; 0 when it was in time."""
    deduction: float
    """What they cost, in `deduction_unit`."""
    deduction_unit: DeductionUnit
    rerun_job_id: UUID | None
    """The latest re-run by staff, for staff alone."""
    check: CheckRead | None = None
    """The hidden check. Students see it once points are released."""


class AssignmentRead(Outgoing):
    id: UUID
    course_id: UUID | None = None
    name: str
    description: str | None
    deadline: datetime
    deadline_text: str | None = None
    """The deadline in the lab's time zone, which it names: `2030-01-31 23:59 CET (Europe/Berlin)`."""
    templates: list[str]
    questions: list[str]
    """The questions of the templates."""
    experiments: list[str]
    tolerance: float
    starter: StarterRead | None = None
    """The program from which students begin: a job that runs it."""
    hidden_check: HiddenCheckRead | None = None
    """The check that runs after each hand-in; null for students."""
    max_points: float | None = None
    """The most that a submission can get; null where nothing says it."""
    rerun_points: float | None = None
    """Points for a submission whose re-run lies within the tolerance."""
    points_released_at: datetime | None = None
    """Since when students see their grades; null while they do not."""
    late_days: int | None = None
    """Days after the deadline during which late work is accepted; null sets no limit."""
    late_deduction: float = 0.0
    """What each day that has begun after the deadline takes off the points."""
    late_deduction_unit: DeductionUnit = "percent"
    answers_after_deadline: bool = True
    """Whether students see correct answers and verdicts only once they can hand in no more."""
    deadline_changes: list[DeadlineChangeRead] = Field(default_factory=list)
    """Former deadlines, oldest first."""
    your_deadline: datetime | None = None
    """Your deadline: the assignment's, or a later one by an extension. Null if the answer is not for one user."""
    your_deadline_text: str | None = None
    your_submission: SubmissionRead | None = None
    """What you handed in; null when you have handed in nothing."""
    your_grade: GradeRead | None = None
    """Your grade, once grades are released; null before, and where there is none."""
    created_at: datetime


class AssignmentPage(Outgoing):
    items: list[AssignmentRead]
    next_cursor: str | None


class PinOrder(Incoming):
    """The run to hand in."""

    job_id: AnId


class SubmissionPage(Outgoing):
    items: list[SubmissionRead]
    next_cursor: str | None


class PartRead(Outgoing):
    """A question or an experiment that counts, and your runs for it."""

    kind: Literal["question", "experiment"]
    name: str
    """The template of a study that answers the question (`course/1b`), or the experiment."""
    title: str
    runs: int
    succeeded: int


class WorkRead(Outgoing):
    """Your work on an assignment: which part has a run already, and which runs you can hand in."""

    assignment: AssignmentRead
    parts: list[PartRead]
    runs: list[JobSummary]
    """Your runs that count, at most a hundred: those that succeeded first, then the newest."""


class FailureRead(Outgoing):
    """The newest run that failed."""

    job_id: UUID
    experiment: str
    name: str | None
    cause: FailureCause
    message: str | None
    at: datetime


StandingState = Literal["stuck", "not_started", "working", "good_run", "late", "handed_in"]


class StandingRead(Outgoing):
    """How one student stands."""

    user_id: UUID
    name: str
    section: str | None
    team: str | None
    state: StandingState
    """`handed_in` and `late` have handed in, in time or not. `good_run`: a run succeeded. `stuck`: none succeeded, and
    runs failed with none in progress, or three failed. `working`: other runs. `not_started`: no run."""
    runs: int
    """Since the assignment was created; these alone count for the state."""
    earlier_runs: int
    """From before it was created."""
    succeeded: int
    failed: int
    unfinished: int
    first_success_at: datetime | None
    last_run_at: datetime | None
    last_failure: FailureRead | None
    """On what they are stuck, also where another run succeeded."""
    submission: SubmissionRead | None


class OverviewRead(Outgoing):
    """How the class stands with an assignment."""

    assignment: AssignmentRead
    states: dict[str, int]
    """How many students are in each state: of the whole class, or of the section, team and text that were asked for."""
    submitted: int
    """How many of them handed something in."""
    students: list[StandingRead]
    """One page of them: those first who are stuck, then by name."""
    next_cursor: str | None


class DifferenceRead(Outgoing):
    """One value of the result that differs."""

    path: str
    """`weights.0`, `train_loss`."""
    pinned: JsonValue
    again: JsonValue
    relative: float | None
    """Of two numbers: their distance over the larger one; null for what is no number."""
    judged: bool
    """False for what measures the machine: fields of seconds, bytes and rates. They may differ."""


class VersionRead(Outgoing):
    name: str
    pinned: str | None
    again: str | None


class ComparisonRead(Outgoing):
    """A re-run beside the run that was handed in."""

    pinned_job_id: UUID
    again_job_id: UUID
    again_state: JobState
    verdict: Literal["waiting", "failed", "same", "different"]
    """`waiting` until the re-run is final, `failed` where it did not succeed."""
    tolerance: float
    seed: Int64
    compared: int
    """Values that were judged."""
    differences: list[DifferenceRead]
    """What differs by more than the tolerance, at most a hundred."""
    versions: list[VersionRead]
    """Software that differs between the two."""
