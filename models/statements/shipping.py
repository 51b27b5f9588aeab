"""How far a run directory was shipped, and what a running job shows of itself."""

from typing import Any
from uuid import UUID

from sqlalchemy import Select, Update, func, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from models.job import Job
from models.lease import Lease
from models.statements.leases import LIVE


def advance(token: UUID, *, before: tuple[int, int, int], after: tuple[int, int, int]) -> ReturningUpdate[UUID]:
    """Move the offsets of records, samples and output; the rows they stand for go into the same transaction.

    No row: the lease is gone, or the bytes were shipped already by somebody else.
    """
    return (
        update(Lease)
        .where(
            Lease.token == token,
            LIVE,
            Lease.records_offset == before[0],
            Lease.samples_offset == before[1],
            Lease.output_offset == before[2],
        )
        .values(records_offset=after[0], samples_offset=after[1], output_offset=after[2])
        .returning(Lease.job_id)
    )


def offsets(token: UUID) -> Select[int, int, int]:
    """What was shipped of a live lease's directory; no row when it is not live."""
    return select(Lease.records_offset, Lease.samples_offset, Lease.output_offset).where(Lease.token == token, LIVE)


def describe(job_id: UUID, **values: Any) -> Update:
    """Change what a running job shows of itself (progress, versions). Guard it with `advance` in its transaction."""
    return update(Job).where(Job.id == job_id).values(version=Job.version + 1, changed_at=func.now(), **values)
