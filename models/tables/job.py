"""The job: the row that is the truth."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Computed, ForeignKey, Index, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from gpulab.states import FailureCause, JobState
from models.tables.base import Base
from models.tables.courses import DEFAULT
from models.tables.program import RAN_BY


def _one_of(column: str, values: list[str]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


class Job(Base):
    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(_one_of("state", [state.value for state in JobState]), name="state_known"),
        CheckConstraint(_one_of("cause", [cause.value for cause in FailureCause]), name="cause_known"),
        CheckConstraint("(state = 'failed') = (cause IS NOT NULL)", name="cause_iff_failed"),
        CheckConstraint(
            "(state IN ('succeeded', 'failed', 'cancelled')) = (finished_at IS NOT NULL)", name="finished_iff_final"
        ),
        Index("uq_jobs_owner_id_idempotency_key", "owner_id", "idempotency_key", unique=True),
        Index("ix_jobs_owner_id_id", "owner_id", "id"),
        Index("ix_jobs_queued", "id", postgresql_where=text("state = 'queued'")),
        Index("ix_jobs_queued_owner_id", "owner_id", postgresql_where=text("state = 'queued'")),
        Index("ix_jobs_active", "id", postgresql_where=text("state IN ('leased', 'running')")),
        Index("ix_jobs_state_id", "state", "id"),
        Index("ix_jobs_experiment_id", "experiment", "id"),
        Index("ix_jobs_tags", "tags", postgresql_using="gin"),
        Index("ix_jobs_reusable", "owner_id", "experiment", "seed", postgresql_where=text("state = 'succeeded'")),
        Index("ix_jobs_study_id", "study_id", postgresql_where=text("study_id IS NOT NULL")),
        Index("ix_jobs_program_sha256", "program_sha256", postgresql_where=text("program_sha256 IS NOT NULL")),
        Index("ix_jobs_shared", "id", postgresql_where=text("shared_with IS NOT NULL")),
        Index("ix_jobs_retry_of", "retry_of", postgresql_where=text("retry_of IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    course_id: Mapped[UUID | None] = mapped_column(ForeignKey("courses.id"), server_default=DEFAULT)
    """Whose instructors may see it; null where its owner is in no course."""
    idempotency_key: Mapped[str | None]
    request_digest: Mapped[bytes | None]
    """SHA-256 of the request body that used the key."""

    experiment: Mapped[str]
    spec: Mapped[dict[str, Any]]
    program_sha256: Mapped[str | None] = mapped_column(
        # Of every job, whichever statement inserts it. The key keeps the program for as long as the job is there.
        ForeignKey("programs.sha256"),
        Computed(f"CASE WHEN {_one_of('experiment', list(RAN_BY))} THEN spec ->> 'program' END", persisted=True),
    )
    """The program that it runs; null for an experiment of the catalogue."""
    seed: Mapped[int] = mapped_column(BigInteger)
    name: Mapped[str | None]
    tags: Mapped[list[str]]
    note: Mapped[str | None]
    """Plain text of its owner or of staff, over several lines."""
    priority: Mapped[str]
    time_limit_seconds: Mapped[int]
    gpus: Mapped[int | None]
    """GPUs asked for; null takes one where the lab has any."""
    counted_bytes: Mapped[int | None] = mapped_column(BigInteger)
    """On each GPU, as the scheduler counts it while it waits: what it asked for, or what was predicted; null is all."""
    gpu_memory_bytes: Mapped[int | None] = mapped_column(BigInteger)
    exclusive: Mapped[bool]
    datasets: Mapped[list[str]]

    state: Mapped[str]
    cause: Mapped[str | None]
    message: Mapped[str | None]
    """One line: the error of a failed job, the reason a queued one waits."""
    failure: Mapped[dict[str, Any] | None]
    """Details beyond the message, from the run's last record; for `out_of_memory` an `OutOfMemoryRead`."""
    wait_reason: Mapped[str | None]
    """The scheduler's latest `WaitReason`; null when it has not looked at the job yet."""
    estimated_start_at: Mapped[datetime | None]
    """Of the first in the queue: when it starts if every time limit is used up and nothing new comes."""
    estimated_node: Mapped[str | None]
    """Where that would be."""
    estimated_gpu_uuids: Mapped[list[str] | None]
    version: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))
    """Grows with every change that a reader of the job can see; the ETag."""
    attempt: Mapped[int] = mapped_column(server_default=text("0"))
    lost_attempts: Mapped[int] = mapped_column(server_default=text("0"))
    """Attempts ended by something other than the job; bounded by a setting."""
    progress_fraction: Mapped[float | None]
    progress_message: Mapped[str | None]
    result: Mapped[dict[str, Any] | None]
    device: Mapped[str | None]
    node: Mapped[str | None]
    gpu_uuids: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    versions: Mapped[dict[str, Any] | None]

    submitted_at: Mapped[datetime] = mapped_column(server_default=func.now())
    changed_at: Mapped[datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    cancel_requested_at: Mapped[datetime | None]
    retry_of: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.id"))
    study_id: Mapped[UUID | None] = mapped_column(
        # Each table names the other: this key is added when both are there.
        ForeignKey("studies.id", use_alter=True)
    )
    """The study that submitted it; later ones may reuse it."""
    shared_with: Mapped[str | None]
    """Who else may read it: `team` (the owner's) or `class`; null is no one else."""
    estimate_id: Mapped[UUID | None] = mapped_column(ForeignKey("estimates.id"))
    """The prediction of its GPU memory; null where its experiment has none."""
    removed: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    """What the lab's retention deleted: the time of each `gpulab.states.Removed`; null is nothing."""
