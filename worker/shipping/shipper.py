"""Tails a run directory into Postgres: every record exactly once.

The offset up to which a file was read moves in the transaction that writes the rows, in an UPDATE guarded by the
lease's token and by the offset before. A crash between two transactions repeats nothing and skips nothing; a shipper
whose lease is gone changes nothing. Files go to the object store first and are named in the transaction
(`uploads.py`). A file that would take its owner past their quota is left where it is: the event `job.file_refused`
says so, and everything else of the run is kept. Files that the store does not take now wait and hold up nothing else.
"""

import time
from typing import NamedTuple
from uuid import UUID

import structlog
from obstore.store import ObjectStore
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DataError, IntegrityError

from experiments.hosting.record_reader import Broken, RecordReader, SampleReader, read_regular
from models.composed import run, run_many
from models.statements import job_events, series, shipping
from models.statements.job_events import FILES_STORED, FILES_WAIT
from worker.programs.records import distrust
from worker.runs.folder import RunFolder
from worker.shipping.batch import Batch
from worker.shipping.uploads import Files, Uploaded, Uploads

MAX_OUTPUT_BYTES = 4 * 2**20
"""Read in one turn, so that a transaction stays short."""
STORE_RETRY_SECONDS = 2.0
MAX_BROKEN_EVENTS = 20
"""Of one attempt; each counts all broken lines of a turn."""

log = structlog.get_logger()


class LeaseGoneError(Exception):
    """The lease was taken away: nothing of this attempt counts any more."""


class Offsets(NamedTuple):
    records: int
    samples: int
    output: int


NOTHING = Offsets(0, 0, 0)


class Shipper:
    """Ships one attempt's directory. Call `turn` until it returns False after the process has ended.

    `max_record_bytes`, `max_files_bytes`: what a student's program may record, and keep as files; 0 is no limit.
    `shipped` is how far that was done before: `NOTHING` for an attempt that begins; by default the database is asked.
    """

    def __init__(
        self,
        engine: Engine,
        store: ObjectStore,
        folder: RunFolder,
        lease_token: UUID,
        job_id: UUID,
        attempt: int,
        *,
        actor: str,
        log_limit_bytes: int,
        max_artifact_bytes: int | None,
        max_record_bytes: int = 0,
        max_files_bytes: int = 0,
        shipped: Offsets | None = None,
    ) -> None:
        self._engine = engine
        self._output = folder.output
        self._lease_token = lease_token
        self._job_id = job_id
        self._attempt = attempt
        self._actor = actor
        self._log_limit_bytes = log_limit_bytes
        self._max_artifact_bytes = max_artifact_bytes
        written = folder.written_by_run
        self._uploads = Uploads(
            engine, store, written, job_id, attempt, max_bytes=max_artifact_bytes, is_checked=folder.is_sandboxed
        )
        self._refused: set[str] = set()
        """Files that the owner already has an event about."""
        distrusted = distrust(max_record_bytes, max_files_bytes) if folder.is_sandboxed else None
        self._records = RecordReader(written, distrusted)
        self._samples = SampleReader(folder.path)
        self._offsets = shipped
        self._waiting = Files()
        self.retry_at = 0.0
        """When the store may be asked again, by the monotonic clock."""
        self._broken_events = 0
        self._careful = False
        self._spoilt: set[int] = set()
        self.trouble: str | None = None
        """Why files wait for the store; null when none does."""

    @property
    def waiting(self) -> list[str]:
        """The names of files that the store has not taken yet."""
        return self._waiting.names()

    def _resume(self) -> Offsets:
        """How far this attempt was shipped, by whomever; asked at first, and after a commit whose fate is unknown."""
        with self._engine.begin() as connection:
            row = run(connection, shipping.offsets, lease_token=self._lease_token).first()
        if row is None:
            raise LeaseGoneError
        offsets = Offsets(*row)
        self._waiting = self._left_by(offsets.records)
        return offsets

    def _left_by(self, shipped: int) -> Files:
        """The files whose records were shipped and that no row names: they waited for the store."""
        batch, at = Batch(), 0
        while at < shipped:
            found, end = self._records.read(at)
            if end == at:
                break
            batch.add(found)
            at = end
        return batch.files.without(self._uploads.named(), self._uploads.key) if batch.files else batch.files

    def turn(self) -> bool:
        """Ship what is new; False when there was nothing, or nothing that can be shipped now.

        Raises:
            LeaseGoneError: stop; the attempt is over.
            DATABASE_AWAY: the database is away; call again later, nothing is lost.
        """
        self._uploads.sweep()
        before = self._offsets or self._resume()
        batch, after = self._read(before)
        self._offsets = before
        due = time.monotonic() >= self.retry_at
        if after == before and not (self._waiting and due):
            return False
        uploaded = self._upload(batch.files, due=due)
        same_trouble = uploaded.trouble is not None and uploaded.trouble == self.trouble
        if after == before and same_trouble and not uploaded.has_news:
            self._waiting = uploaded.waiting
            return False
        # Should the commit's answer be lost, the next turn asks the database how it ended.
        self._offsets = None
        try:
            with self._engine.begin() as connection:
                self._uploads.admit(connection, uploaded)
                self._write(connection, before, after, batch, uploaded)
        except (DataError, IntegrityError) as error:
            self._look_closer(before, error)
            return True
        self._offsets = after
        self._careful = False
        self._uploads.committed(uploaded)
        self._refused.update(uploaded.refused)
        self._waiting, self.trouble = uploaded.waiting, uploaded.trouble
        return True

    def _upload(self, files: Files, *, due: bool) -> Uploaded:
        """What waits goes first. A store that refused is left alone for a moment."""
        files = self._waiting.updated(files)
        if self._waiting and not due:
            return Uploaded(waiting=files, trouble=self.trouble)
        uploaded = self._uploads.upload(files)
        if uploaded.trouble is not None:
            self.retry_at = time.monotonic() + STORE_RETRY_SECONDS
        return uploaded

    def _read(self, before: Offsets) -> tuple[Batch, Offsets]:
        max_lines = 1 if self._careful else None
        records, records_end = self._records.read(before.records, max_lines=max_lines)
        samples, samples_end = self._samples.read(before.samples, max_lines=max_lines)
        output = read_regular(self._output, before.output, MAX_OUTPUT_BYTES)
        if before.records in self._spoilt:
            records = [Broken(before.records, "the database cannot store it", "") for _ in records]
            samples = []
        batch = Batch(output=output)
        batch.add(records)
        batch.add(samples)
        return batch, Offsets(records_end, samples_end, before.output + len(output))

    def _look_closer(self, before: Offsets, error: Exception) -> None:
        """The database took none of it for the sake of one line: find that line, and pass it over."""
        log.warning("record.refused", reason=str(error)[:500], offset=before.records)
        if self._careful and before.records in self._spoilt:
            raise error
        if self._careful:
            self._spoilt.add(before.records)
        self._careful = True

    def sweep_uploads(self) -> None:
        """Delete from the store what this attempt uploaded for nothing; for an attempt whose lease is gone.

        Raises:
            DATABASE_AWAY: it is unknown which uploads are not needed; all of them stay.
        """
        self._uploads.sweep()

    def _write(
        self,
        connection: Connection,
        before: Offsets,
        after: Offsets,
        batch: Batch,
        uploaded: Uploaded,
    ) -> None:
        if run(connection, shipping.advance, lease_token=self._lease_token, before=before, after=after).first() is None:
            raise LeaseGoneError
        own = {"job_id": self._job_id, "attempt": self._attempt}
        if batch.metrics:
            rows = [
                series.metric_chunk(self._job_id, self._attempt, name, steps=of.steps, times=of.times, values=of.values)
                for name, of in batch.metrics.items()
            ]
            run_many(connection, series.keep_metrics, rows)
        if batch.samples:
            run_many(connection, shipping.keep_samples, [own | row for row in batch.sample_rows()])
        if batch.phases:
            phases = [own | {"time": phase.time, "name": phase.name} for phase in batch.phases]
            run_many(connection, shipping.keep_phases, phases)
        self._uploads.name(connection, uploaded)
        self._warn_owner(connection, batch, uploaded)
        if batch.output:
            self._keep_output(connection, batch.output)
        if shown := batch.shown():
            run(connection, shipping.describe, job_id=self._job_id, **shown)
        run(connection, shipping.tell_of_data, job_id=self._job_id)

    def _warn_owner(self, connection: Connection, batch: Batch, uploaded: Uploaded) -> None:
        """Notify the owner of files that were refused, wait, or could not be read."""

        def warn(event: str, message: str) -> None:
            run(
                connection,
                job_events.warn,
                lease_token=self._lease_token,
                event=event,
                actor=self._actor,
                message=message,
            )

        if refused := [name for name in uploaded.refused if name not in self._refused]:
            words = (
                f"{', '.join(refused)}: not kept, because its owner's storage quota is {self._max_artifact_bytes} bytes"
            )
            warn("job.file_refused", words)
        if uploaded.trouble is not None and uploaded.trouble != self.trouble:
            warn(FILES_WAIT, f"its files cannot be stored now, and the lab tries again: {uploaded.trouble}")
        if uploaded.trouble is None and self.trouble is not None:
            warn(FILES_STORED, "its files are stored")
        if batch.broken and self._broken_events < MAX_BROKEN_EVENTS:
            self._broken_events += 1
            warn("job.record_broken", batch.broken_words())
        for message in batch.warnings:
            warn("job.warning", message)

    def _keep_output(self, connection: Connection, output: bytes) -> None:
        start = run(connection, series.log_end, job_id=self._job_id).scalar() or 0
        kept = output[: max(0, self._log_limit_bytes - start)]
        if kept:
            run(connection, shipping.keep_output, job_id=self._job_id, attempt=self._attempt, start=start, data=kept)
