"""The life of a job: its states, the moves between them, and the causes of failure. The one table everybody obeys."""

from enum import StrEnum
from types import MappingProxyType


class JobState(StrEnum):
    QUEUED = "queued"
    LEASED = "leased"
    """A node was chosen and holds the right to run; its process is not up yet."""
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class FailureCause(StrEnum):
    OUT_OF_MEMORY = "out_of_memory"
    DIVERGED = "diverged"
    ERROR = "error"
    TIME_LIMIT = "time_limit"
    LOST = "lost"
    GPU_FAULT = "gpu_fault"
    CANNOT_FIT = "cannot_fit"
    IDLE = "idle"
    """It held a GPU and did not use it."""
    LIMIT_EXCEEDED = "limit_exceeded"
    """A program took more processes, time, disk or output than one may."""


STATE_WORDS: MappingProxyType[JobState, str] = MappingProxyType(
    {state: state.value for state in JobState} | {JobState.LEASED: "starting"}
)
"""What people read, on a terminal, in a notebook and on the dashboard; programs read the values."""
CAUSE_WORDS: MappingProxyType[FailureCause, str] = MappingProxyType(
    {cause: cause.value.replace("_", " ") for cause in FailureCause}
    | {FailureCause.GPU_FAULT: "GPU fault", FailureCause.IDLE: "idle GPU"}
)


def why_words(cause: FailureCause | None, message: str | None) -> str:
    """What a job says of itself, its cause of failure first; empty where it says nothing."""
    return ": ".join(part for part in (CAUSE_WORDS[cause] if cause else None, message) if part)


class Priority(StrEnum):
    """Priority classes, most urgent first."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class Role(StrEnum):
    STUDENT = "student"
    INSTRUCTOR = "instructor"
    ADMIN = "admin"


class Audience(StrEnum):
    """Who can see a shared job or study, besides its owner and staff."""

    TEAM = "team"
    """The owner's team."""
    CLASS = "class"


class KeptBecause(StrEnum):
    """Why a run cannot be deleted."""

    NOT_OVER = "not_over"
    HANDED_IN = "handed_in"
    """Somebody handed it in, or it is a re-run, a check or a graded run of an assignment."""
    STUDY_RUNS = "study_runs"
    """It belongs to a study that still runs."""
    COURSE_ARCHIVED = "course_archived"
    """Its course is archived: then only its owner deletes it."""
    NOT_FOUND = "not_found"
    """There is none, or it is another user's."""


class Erasure(StrEnum):
    """How a user is taken out of the lab."""

    ANONYMISE = "anonymise"
    """A pseudonym takes the place of the name. Runs, submissions and grades stay."""
    DELETE = "delete"
    """All that is the user's own goes too."""


class Removed(StrEnum):
    """What the lab's retention deletes of a run."""

    SAMPLES = "samples"
    OUTPUT = "output"
    CHECKPOINT = "checkpoint"
    FILES = "files"
    METRICS = "metrics"
    RESULT = "result"


class Channel(StrEnum):
    """How a notification travels."""

    MAIL = "mail"
    WEBHOOK = "webhook"


class NotificationKind(StrEnum):
    """What a user can be notified of."""

    ENDED = "ended"
    """A run succeeded or was cancelled."""
    FAILED = "failed"
    WAITING = "waiting"
    """Something waits for the user: a job that no machine can start, an idle run, or a machine that was set aside."""
    DEADLINE = "deadline"
    """A deadline within a day, and nothing handed in."""
    TEST = "test"
    """The user asked for it, to see that messages arrive."""


class WaitReason(StrEnum):
    """Why a job waits in the queue."""

    NEXT_IN_LINE = "next_in_line"
    """The scheduler has not looked at it yet."""
    ESTIMATING = "estimating"
    """Its GPU memory is being predicted."""
    NO_FREE_SLOT = "no_free_slot"
    NO_FREE_GPU = "no_free_gpu"
    RESERVED_FOR_ANOTHER = "reserved_for_another"
    """There is room, but an earlier job needs it before this one would end."""
    LAB_HOURS = "lab_hours"
    """There is room, but it is kept for lab hours before this one would end."""
    LIMIT_RUNNING = "limit_running"
    LIMIT_GPU_HOURS = "limit_gpu_hours"
    LIMIT_GIB_HOURS = "limit_gib_hours"
    NO_NODE = "no_node"
    NO_GPU = "no_gpu"
    """No node has as many GPUs."""
    NO_SANDBOX = "no_sandbox"
    DATASET_MISSING = "dataset_missing"
    CANNOT_FIT = "cannot_fit"
    """No GPU is large enough."""
    NOT_WAITING = "not_waiting"
    """It runs, or it has ended."""


class NodeState(StrEnum):
    UP = "up"
    DRAINING = "draining"
    """It starts no new jobs; those that run go on."""
    SET_ASIDE = "set_aside"
    """It starts no new jobs because of a fault."""
    DOWN = "down"
    """It stopped, or sends no heartbeats."""


class NodeFault(StrEnum):
    """Why the lab sets a node aside."""

    NO_TOKEN = "no_token"  # noqa: S105 - a reason, not a secret
    """The lab asks for node tokens and this node showed none that is good."""
    CLOCK_SKEW = "clock_skew"
    """Its clock is wrong, so its curves would be dated wrongly."""
    FLAPPING = "flapping"
    """It vanished and came back too often."""
    UNRESPONSIVE = "unresponsive"
    """Its heartbeats go on, and it takes up none of the jobs given to it."""
    GPU_LOST = "gpu_lost"
    """A GPU fell off the bus, or the driver no longer lists it."""
    GPU_XID = "gpu_xid"
    """The driver reported a fault of a GPU."""
    GPU_CHANGED = "gpu_changed"
    """A GPU reports another amount of memory than before."""
    GPU_DUPLICATE = "gpu_duplicate"
    """Another node reports the same GPU."""


NODE_WORDS: MappingProxyType[NodeState, str] = MappingProxyType(
    {state: state.value.replace("_", " ") for state in NodeState}
)
"""What people read; programs read the values."""

FINAL_STATES = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})
ACTIVE_STATES = frozenset({JobState.LEASED, JobState.RUNNING})

_Q, _L, _R = JobState.QUEUED, JobState.LEASED, JobState.RUNNING
MOVES: MappingProxyType[JobState, frozenset[JobState]] = MappingProxyType(
    {
        _Q: frozenset({_L, JobState.CANCELLED, JobState.FAILED}),
        _L: frozenset({_Q, _R, JobState.CANCELLED, JobState.FAILED}),
        _R: frozenset({_Q}) | FINAL_STATES,
        JobState.SUCCEEDED: frozenset(),
        JobState.FAILED: frozenset(),
        JobState.CANCELLED: frozenset(),
    }
)
"""From each state, where a job may go. A lost lease leads back to `queued`; a final state leads nowhere."""


def sources(target: JobState) -> frozenset[JobState]:
    """The states from which a job may move to `target`."""
    return frozenset(state for state, targets in MOVES.items() if target in targets)
