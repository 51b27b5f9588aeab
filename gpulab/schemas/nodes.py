"""The machines on the wire: how they are, what ran there, for whom they are kept, and whether the lab is well."""

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from gpulab.schemas.base import Incoming, Line, Outgoing, in_words
from gpulab.schemas.memory import Constants
from gpulab.schemas.users import AnId, Time
from gpulab.states import NodeFault, NodeState


def _day(text: str) -> str:
    return date.fromisoformat(text).isoformat()


Day = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", strip_whitespace=True),
    in_words("write a day as 2030-01-31"),
    AfterValidator(_day),
]
"""A day by the lab's calendar: `2030-01-31`."""
GpuCount = Annotated[int, Field(ge=1, le=10_000)]
UserIds = Annotated[list[AnId], Field(max_length=500)]
GiveBackMinutes = Annotated[int, Field(ge=0, le=24 * 60)]


class GpuRead(Outgoing):
    uuid: str
    node: str
    index: int
    name: str
    memory_total_bytes: int | None
    memory_reserved_bytes: int
    """Sum of the live leases."""
    latest: dict[str, Any]
    """Newest reading: used bytes, utilisation, power, temperature; nulls with reasons."""
    healthy: bool
    reason: str | None
    constants: Constants | None = None
    """What predictions for this GPU count with; null where it was not measured, and the documented defaults hold."""
    constants_reason: str | None = None
    """Why it was not."""


class NodeRead(Outgoing):
    name: str
    state: NodeState
    reason: str | None
    """Why it is draining or set aside, in words."""
    fault: NodeFault | None = None
    """Why it is set aside."""
    fault_at: datetime | None = None
    fault_until: datetime | None = None
    """When it comes back unless the fault is seen again; null where an admin has to undrain it."""
    clock_skew_seconds: float | None = None
    """Its clock less the lab's, at the last heartbeat."""
    slots: int
    """Jobs that may run at once on the CPU side."""
    slots_used: int
    datasets: list[str]
    skipped_datasets: dict[str, str] = Field(default_factory=dict)
    """What it could not read of its folder of data sets, and why."""
    versions: dict[str, str]
    gpus: list[GpuRead]
    gpu_reason: str | None
    """Why there are no GPUs, where there are none."""
    refused_experiments: dict[str, str] = Field(default_factory=dict)
    """Experiments that it cannot run, and why: those of users' own code, where it has no sandbox."""
    heartbeat_at: datetime


class NodePage(Outgoing):
    items: list[NodeRead]


class GpuPage(Outgoing):
    items: list[GpuRead]


class NodeEventRead(Outgoing):
    """What happened to a node."""

    id: int
    at: datetime
    type: str
    actor: str
    """`user:<name>` or `scheduler`."""
    message: str


class NodeEventPage(Outgoing):
    items: list[NodeEventRead]
    """Newest first, the last hundred."""


class NodeTokenRead(Outgoing):
    """A token that admits a node. It is shown this once."""

    node: str
    token: str
    created_at: datetime


class RevokedRead(Outgoing):
    node: str
    revoked: int
    """How many tokens of the node stopped working."""


class DrainOrder(Incoming):
    """No further job starts on the node; those that run go on."""

    reason: Line | None = None
    """Why, for users who wonder."""


class HealthRead(Outgoing):
    status: str
    """`ok`."""


class ReadyRead(Outgoing):
    status: str
    """`ready`."""
    checks: dict[str, str]
    """Each part and what was found."""


class TimelineGpuRead(Outgoing):
    """How busy a GPU was, in the cells of the timeline."""

    uuid: str
    node: str
    index: int
    name: str
    utilization_percent: list[int | None]
    """Mean of each cell, null where nothing was read; the last cell is not over."""
    memory_percent: list[int | None]
    """Largest use of each cell, of the GPU's memory."""


class _AnyonesRun(Outgoing):
    own: bool
    """Whether it is a run of who asks."""
    job_id: UUID | None
    """Null for a run of another user, except for staff; so are `name` and `owner`."""
    name: str | None
    """Its name, or its experiment."""
    owner: str | None
    node: str
    gpu_uuids: list[str]
    """Empty on the CPU."""
    start: datetime


class TimelineRunRead(_AnyonesRun):
    """An attempt that held a part of the lab."""

    attempt: int | None
    outcome: str | None
    """The job's state after it, or `lost`; null while it runs, and for a run of another user."""
    end: datetime | None
    """Null while it runs."""


class ExpectedRunRead(_AnyonesRun):
    """A waiting job: `start` is when it starts if every time limit ahead is used up and nothing new comes."""

    time_limit_seconds: int


class LabHoursCreate(Incoming):
    """GPUs to keep free for the jobs of a section, of an assignment or of named users; of more than one, for jobs that
    belong to all of them.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Lab of section A",
                    "gpus": 2,
                    "section": "A",
                    "start": "2030-01-07T10:00",
                    "end": "2030-01-07T12:00",
                    "weekly_until": "2030-02-04",
                }
            ]
        }
    )

    name: Line
    course_id: AnId | None = None
    """The course whose runs may use them; null: the only open one that you teach."""
    gpus: GpuCount | None = None
    """GPUs to keep; null: all of the node."""
    node: Line | None = None
    """Keep GPUs of this node only."""
    section: Line | None = None
    assignment_id: AnId | None = None
    user_ids: UserIds = Field(default_factory=list)
    start: Time
    """The first start: in the lab's time zone unless it has an offset."""
    end: Time
    weekly_until: Day | None = None
    """The last day on which they may begin, `2030-02-04`: each week, at the same time by the lab's clocks. Null: once.
    """
    give_back_minutes: GiveBackMinutes = 15
    """Minutes after each start. From then on, GPUs that no job of theirs uses or waits for are open to everybody."""


class LabHoursUpdate(Incoming):
    """What to change; what is left out stays. Null takes a limit to a node, section, assignment or week away."""

    name: Line | None = None
    gpus: GpuCount | None = None
    node: Line | None = None
    section: Line | None = None
    assignment_id: AnId | None = None
    user_ids: UserIds | None = None
    start: Time | None = None
    end: Time | None = None
    weekly_until: Day | None = None
    skipped_days: Annotated[list[Day], Field(max_length=100)] | None = None
    """Days on which they would begin and do not, such as holidays."""
    give_back_minutes: GiveBackMinutes | None = None


class OccurrenceRead(Outgoing):
    day: str
    """By the lab's calendar, as `skipped_days` names it: `2030-01-31`."""
    start: datetime
    end: datetime
    gpu_uuids: list[str]
    """The GPUs that the scheduler keeps for it now; empty until it is eight days ahead."""


class LabHoursRead(Outgoing):
    """Students see the name and for whom they are only where that includes them."""

    id: UUID
    course_id: UUID | None = None
    name: str | None
    when: str
    """`Mondays 10:00 to 12:00 until 2030-02-04 (Europe/Berlin)`."""
    yours: bool
    """Whether they are for the user who asks; where they are for an assignment, for the user's work on it."""
    gpus: int | None
    node: str | None
    section: str | None
    assignment_id: UUID | None
    assignment: str | None
    users: dict[str, str] | None
    """Names by id; null for students."""
    local_start: str
    """The first start by the clocks of `time_zone`, `2030-01-07T10:00`."""
    local_end: str
    weekly_until: str | None
    skipped_days: list[str]
    time_zone: str
    give_back_minutes: int
    next: list[OccurrenceRead]
    """The next five, or the one under way and four more."""


class LabHoursList(Outgoing):
    """Those that are not over, the next one first."""

    items: list[LabHoursRead]


class TimelineLabHoursRead(Outgoing):
    """One occurrence of lab hours within the timeline or in the week after it."""

    id: UUID
    name: str | None
    """Null for a student for whom they are not."""
    yours: bool
    gpus: int | None
    """Null: all of the node."""
    node: str | None
    gpu_uuids: list[str]
    start: datetime
    end: datetime


class TimelineRead(Outgoing):
    """What ran where and when. A cell spans `cell_seconds`, the first one begins at `start`."""

    start: datetime
    cell_seconds: int
    gpus: list[TimelineGpuRead]
    runs: list[TimelineRunRead]
    """Longest first."""
    runs_left_out: int
    """Shorter ones that are not listed."""
    expected: list[ExpectedRunRead]
    """First one first."""
    lab_hours: list[TimelineLabHoursRead]
    """First one first."""


class GpuHistoryRead(Outgoing):
    """What a GPU did, in the cells of the history; null where nothing was read."""

    uuid: str
    index: int
    name: str
    memory_total_bytes: int | None
    utilization_percent: list[int | None]
    """Mean of each cell, as is the power."""
    memory_used_bytes: list[int | None]
    """Largest of each cell, as is the temperature."""
    temperature_celsius: list[int | None]
    power_watts: list[int | None]


class NodeHistoryRead(Outgoing):
    """A cell spans `cell_seconds`, the first one begins at `start`."""

    start: datetime
    cell_seconds: int
    gpus: list[GpuHistoryRead]
