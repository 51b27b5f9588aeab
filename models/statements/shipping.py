"""How far a run directory was shipped, and what a running job shows of itself."""

from typing import Any
from uuid import UUID

from sqlalchemy import Insert, Select, Text, Update, cast, func, insert, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from models.channels import DATA
from models.composed import statement
from models.statements.leases import LIVE
from models.tables.job import Job
from models.tables.lease import Lease
from models.tables.series import LogChunk, Phase, SampleChunk


@statement(anew=True)
def advance(lease_token: UUID, *, before: tuple[int, int, int], after: tuple[int, int, int]) -> ReturningUpdate[UUID]:
    """Move the offsets of records, samples and output; the rows they stand for go into the same transaction.

    No row: the lease is gone, or another shipper has shipped the bytes already.
    """
    return (
        update(Lease)
        .where(
            Lease.token == lease_token,
            LIVE,
            Lease.records_offset == before[0],
            Lease.samples_offset == before[1],
            Lease.output_offset == before[2],
        )
        .values(records_offset=after[0], samples_offset=after[1], output_offset=after[2])
        .returning(Lease.job_id)
    )


@statement
def offsets(lease_token: UUID) -> Select[int, int, int]:
    """What was shipped of a live lease's directory; no row when it is not live."""
    return select(Lease.records_offset, Lease.samples_offset, Lease.output_offset).where(
        Lease.token == lease_token, LIVE
    )


@statement(anew=True)
def describe(job_id: UUID, **values: Any) -> Update:
    """Change what a running job shows of itself (progress, versions). Guard it with `advance` in its transaction."""
    return update(Job).where(Job.id == job_id).values(version=Job.version + 1, changed_at=func.now(), **values)


@statement
def keep_samples() -> Insert:
    """Rows of chunks, to be run with many."""
    return insert(SampleChunk)


@statement
def keep_phases() -> Insert:
    """Rows of phases, to be run with many."""
    return insert(Phase)


@statement
def keep_output(job_id: UUID, attempt: int, *, start: int, data: bytes) -> Insert:
    """Output that the job printed, from the byte `start` on."""
    return insert(LogChunk).values(job_id=job_id, attempt=attempt, start=start, data=data)


@statement
def tell_of_data(job_id: UUID) -> Select[Any]:
    """Notify that a job's series, samples or output grew."""
    return select(func.pg_notify(DATA, cast(job_id, Text)))
