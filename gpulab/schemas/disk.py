"""Where the disk goes, on the wire."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from gpulab.schemas.base import Outgoing


class DiskKind(StrEnum):
    """What of a user takes disk."""

    ARTIFACTS = "artifacts"
    CHECKPOINTS = "checkpoints"
    OUTPUT = "output"
    PROGRAMS = "programs"
    SERIES = "series"
    """Metrics and samples, in the database."""


class DiskAge(StrEnum):
    """How old it is: a file by its own date, output and series by when the job was submitted."""

    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    OLDER = "older"


class DiskPlace(StrEnum):
    """What takes disk besides users' data."""

    DATABASE = "database"
    """All of PostgreSQL's tables and indexes, users' output and series included."""
    WRITE_AHEAD_LOG = "write_ahead_log"
    PROCESS_LOGS = "process_logs"
    BACKUPS = "backups"
    RUNS = "runs"
    CACHE = "cache"


class DiskUseRead(Outgoing):
    """What a user keeps of one kind."""

    user_id: UUID
    user: str
    kind: DiskKind
    size_bytes: int
    by_age: dict[DiskAge, int]
    """Bytes by age: up to a week, a month (30 days), a quarter (90 days), and older."""


class DiskPlaceRead(Outgoing):
    place: DiskPlace
    node: str | None
    """The machine, if it is a worker's folder."""
    size_bytes: int | None
    """Null if it cannot be measured."""
    free_bytes: int | None
    """Free space of its file system, if known."""


class DiskRead(Outgoing):
    """Where the disk goes. Admins see every user and the lab's own places, others only what is theirs."""

    measured_at: datetime
    uses: list[DiskUseRead]
    """The largest first."""
    places: list[DiskPlaceRead]
    """Empty for others than admins."""
