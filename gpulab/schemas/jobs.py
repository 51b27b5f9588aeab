"""Jobs on the wire."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints

from gpulab.names import checked_lines
from gpulab.schemas.base import Incoming, Int64, JsonObject, Line, Outgoing, Seed, Tag
from gpulab.schemas.estimates import EstimateRead, JobEstimateRead
from gpulab.schemas.memory import OutOfMemoryRead
from gpulab.schemas.programs import ProgramBrief
from gpulab.schemas.users import AnId
from gpulab.states import Audience, FailureCause, JobState, KeptBecause, Priority, Removed, WaitReason

MAX_TIME_LIMIT_SECONDS = 7 * 24 * 3600
MAX_GPU_MEMORY_BYTES = 2**50
MAX_TAGS = 20
MAX_NOTE_CHARACTERS = 4000
MAX_DELETED_RUNS = 100


class JobCreate(Incoming):
    """One experiment to run."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"experiment": "dropout-linear", "spec": {"dropout": 0.5}, "seed": 1, "tags": ["homework"]}]
        }
    )

    experiment: Line
    """Slug of the experiment, from `/v1/experiments`."""
    spec: JsonObject = Field(default_factory=dict)
    """Parameters; see the experiment's JSON Schema. What is left out takes its default."""
    seed: Seed = 0
    """Seed of every random number the run draws."""
    name: Line | None = None
    """A name for users."""
    tags: Annotated[list[Tag], Field(max_length=MAX_TAGS)] = Field(default_factory=list)
    """Labels to filter by."""
    priority: Annotated[Priority, Field(strict=False)] = Priority.NORMAL
    """Priority class."""
    time_limit_seconds: Annotated[int, Field(ge=1, le=MAX_TIME_LIMIT_SECONDS)] | None = None
    """Wall-clock limit of one attempt; the experiment's own default when left out."""
    gpus: Annotated[int, Field(ge=0, le=16)] | None = None
    """How many GPUs of one node; null lets the experiment and the lab decide."""
    gpu_memory_bytes: Annotated[int, Field(ge=1, le=MAX_GPU_MEMORY_BYTES)] | None = None
    """Bytes to reserve on each GPU; null reserves the predicted peak or a whole GPU."""
    exclusive: bool | None = None
    """True takes whole GPUs; null lets the experiment decide."""
    course_id: AnId | None = None
    """The course that it is for; null: the one whose open assignment it counts for, else the one you joined last."""


def _lines(value: Any) -> Any:
    return checked_lines(value) if isinstance(value, str) else value


Note = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_NOTE_CHARACTERS),
    BeforeValidator(_lines, json_schema_input_type=str),
]
"""Plain text over several lines."""


class JobUpdate(Incoming):
    """What to change of a job; what is left out stays, null takes the name, all tags or the note away."""

    name: Line | None = None
    tags: Annotated[list[Tag], Field(max_length=MAX_TAGS)] | None = None
    """All of its tags from now on."""
    note: Note | None = None
    """What users should know of the run: plain text over several lines."""


class JobsDelete(Incoming):
    """Runs to delete."""

    job_ids: Annotated[list[Annotated[UUID, Field(strict=False)]], Field(min_length=1, max_length=MAX_DELETED_RUNS)]


class KeptRun(Outgoing):
    """A run that was not deleted."""

    job_id: UUID
    because: KeptBecause
    message: str
    """The reason in words."""


class JobsDeleted(Outgoing):
    deleted: list[UUID]
    kept: list[KeptRun]


class ProgressRead(Outgoing):
    fraction: float
    message: str


class JobSummary(Outgoing):
    """A job in a list."""

    id: UUID
    experiment: str
    name: str | None
    tags: list[str]
    owner: str
    study_id: UUID | None
    state: JobState
    cause: FailureCause | None
    """Why it failed; null unless `state` is `failed`."""
    message: str | None
    """One line a user can act on: the error, or why the job waits."""
    priority: Priority
    seed: Int64
    attempt: int
    """0 until the first lease."""
    progress: ProgressRead | None
    node: str | None
    gpu_uuids: list[str]
    """The GPUs it has; empty on the CPU and while it waits."""
    gpu_memory_bytes: int | None
    """What it asked to have reserved on each; null is a prediction, or the whole GPU."""
    submitted_at: datetime
    started_at: datetime | None
    """Start of the latest attempt."""
    finished_at: datetime | None
    changed_at: datetime


class JobRead(JobSummary):
    """A job with everything but its series, logs and files."""

    spec: dict[str, Any]
    result: dict[str, Any] | None
    failure: OutOfMemoryRead | None
    """Where the memory went, of a job that ran out of it; null for other causes."""
    device: str | None
    """`cpu` or `cuda` of the latest attempt."""
    gpu_names: list[str] = Field(default_factory=list)
    """What the driver calls its GPUs, such as `Tesla T4`; `emulated T4` is no real one."""
    gpus: int | None
    exclusive: bool
    datasets: list[str]
    time_limit_seconds: int
    cancel_requested_at: datetime | None
    retry_of: UUID | None
    versions: dict[str, str] | None
    """Software the latest attempt ran with."""
    estimate: JobEstimateRead | None = None
    """Its predicted GPU memory; null where nothing is predicted, of which `POST /v1/estimates` says why."""
    shared_with: Audience | None = None
    """Who besides its owner and staff may read it."""
    program: ProgramBrief | None = None
    """The program that it runs; null for an experiment of the catalogue."""
    owner_id: UUID | None = None
    course_id: UUID | None = None
    """The course that it belongs to."""
    """The owner's id; several users may have their name."""
    note: str | None = None
    """Plain text of its owner or of staff."""
    removed: dict[Removed, datetime] = Field(default_factory=dict)
    """What the lab's retention deleted of it, and when."""


class ShareOrder(Incoming):
    """Who else may read it."""

    audience: Annotated[Audience, Field(strict=False)] | None
    """`team` (the owner's), `class`, or null for no one else."""


class JobPage(Outgoing):
    items: list[JobSummary]
    next_cursor: str | None


class DryRunRead(Outgoing):
    """What a submission would become."""

    experiment: str
    spec: dict[str, Any]
    """The spec with every default filled in."""
    time_limit_seconds: int
    gpus: int | None
    exclusive: bool
    datasets: list[str]
    estimate: EstimateRead | None = None
    """Its predicted GPU memory; `pending` when it took longer than a dry run waits."""


class QueueRead(Outgoing):
    """Why a job waits."""

    state: JobState
    position: int | None
    """Its place in the order in which the scheduler looks at the queue: 1 is next; null when the job does not wait."""
    reason: WaitReason
    explanation: str
    """The reason in words."""
    estimated_start_at: datetime | None
    """The scheduler's promise if it made one, else by the pace of the past hour. Null when neither is known."""
    would_help: list[str]
    """What would let it start sooner, most useful first."""


class QueuedRunRead(Outgoing):
    """The run of yours that is next in the queue."""

    job_id: UUID
    experiment: str
    name: str | None
    position: int
    """Its place in the queue of the whole lab: 1 is next."""
    estimated_start_at: datetime | None
    """The scheduler's promise if it made one, else by the pace of the past hour. Null when neither is known."""


class LabQueueRead(Outgoing):
    """How busy the lab is, and where you stand in its queue. It names no other user."""

    running: int
    """Runs of all users that run or start."""
    waiting: int
    """Runs of all users in the queue."""
    users_waiting: int
    """How many users have runs in the queue."""
    your_running: int
    your_waiting: int
    started_last_hour: int
    """Runs that started in the past hour; counted over the newest events alone in a busy lab."""
    next: QueuedRunRead | None
    """Null when none of your runs waits."""


class EventRead(Outgoing):
    """One entry of the job's history."""

    id: int
    at: datetime
    type: str
    from_state: JobState | None
    to_state: JobState | None
    attempt: int
    actor: str
    message: str


class EventPage(Outgoing):
    items: list[EventRead]
    next_cursor: str | None


class LogRead(Outgoing):
    """A piece of what the run printed."""

    offset: int
    """Byte offset of the first byte of `text`, over all attempts in order."""
    next_offset: int
    text: str
    """Decoded as UTF-8; broken bytes become U+FFFD."""
    complete: bool
    """True when the job is final and this piece reaches the end."""


class ArtifactRead(Outgoing):
    name: str
    size_bytes: int
    sha256: str
    media_type: str
    attempt: int
    created_at: datetime


class ArtifactPage(Outgoing):
    items: list[ArtifactRead]


class JobRow(JobSummary):
    """One job, with the values of the columns that were asked for."""

    values: list[Any]
    """In the order of the columns: a number, a text, true or false, the points of a curve, or null for no value."""


class JobTableRead(Outgoing):
    columns: list[str]
    items: list[JobRow]
    total: int
    """How many jobs meet the filters and the conditions, on all pages together."""
    searched: int
    """How many jobs the conditions and orders looked at, newest first."""
    complete: bool
    """False where there are more jobs than `searched`; a narrower filter, such as an experiment, reaches them."""
    next_cursor: str | None


class FieldStatistics(Outgoing):
    """Of the numbers that one column has in the jobs of a group."""

    n: int
    mean: float | None
    sd: float | None
    """Of the sample (n - 1); null where n is below 2."""
    min: float | None
    max: float | None


class JobGroup(Outgoing):
    """The jobs that have the same values in the columns that were grouped by."""

    by: list[Any]
    runs: int
    columns: list[FieldStatistics]


class JobGroupsRead(Outgoing):
    by: list[str]
    columns: list[str]
    items: list[JobGroup]
    groups: int
    """How many groups there are; at most 200 are listed."""
    total: int
    """How many jobs they hold together."""
    searched: int
    complete: bool
    """False where there are more jobs than `searched`."""


class FieldRead(Outgoing):
    """A column that jobs have a value for."""

    name: str
    """As `columns`, `sort`, `where` and `by` take it."""
    kinds: list[str]
    """`number`, `string` or `boolean`; several where jobs differ."""
    runs: int
    """How many of the newest jobs have it."""
    values: int | None
    """How many different values they have; null for a metric."""


class FieldsRead(Outgoing):
    items: list[FieldRead]
