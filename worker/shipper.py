"""Tails a run directory into Postgres: every record exactly once.

The offset up to which a file was read moves in the transaction that writes the rows, in an UPDATE guarded by the
lease's token and by the offset before. A crash between two transactions repeats nothing and skips nothing; a shipper
whose lease is gone changes nothing. Files go to the object store first and are named in the transaction
(`uploads.py`). A file that would take its owner past their quota is left where it is: the event `job.file_refused`
says so, and everything else of the run is kept.
"""

import math
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import orjson
import structlog
from obstore.store import ObjectStore
from sqlalchemy import Connection, Engine, func, insert, select

from experiments.contract import OUTPUT_FILE, RECORDS_FILE, SAMPLES_FILE
from models.channels import DATA
from models.series import LogChunk, Phase, SampleChunk
from models.statements import remarks, series, shipping
from worker.uploads import Uploaded, Uploads

MOST_BYTES = 4 * 2**20
"""Read of one file in one turn, so that a transaction stays short."""

log = structlog.get_logger()


class LeaseGoneError(Exception):
    """The lease was taken away: nothing of this attempt counts any more."""


class Offsets(NamedTuple):
    records: int
    samples: int
    output: int


NOTHING = Offsets(0, 0, 0)


@dataclass(slots=True)
class _Series:
    steps: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, step: int, time: float, value: float) -> None:
        self.steps.append(step)
        self.times.append(time)
        self.values.append(value)


@dataclass(slots=True)
class _Batch:
    """What one turn found, sorted by the table it belongs to."""

    metrics: dict[str, _Series] = field(default_factory=lambda: defaultdict(_Series))
    samples: dict[tuple[str, str | None], list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    phases: list[tuple[float, str]] = field(default_factory=list)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    checkpoint: dict[str, Any] | None = None
    progress: dict[str, Any] | None = None
    versions: dict[str, str] | None = None
    output: bytes = b""


class Shipper:
    """Ships one attempt's directory. Call `turn` until it returns False after the process has ended.

    `shipped` is how far that was done before: `NOTHING` for an attempt that begins; by default the database is asked.
    """

    def __init__(
        self,
        engine: Engine,
        store: ObjectStore,
        folder: Path,
        token: UUID,
        job_id: UUID,
        attempt: int,
        *,
        actor: str,
        log_limit_bytes: int,
        max_artifact_bytes: int | None,
        shipped: Offsets | None = None,
    ) -> None:
        self._engine = engine
        self._folder = folder
        self._token = token
        self._job_id = job_id
        self._attempt = attempt
        self._actor = actor
        self._log_limit_bytes = log_limit_bytes
        self._max_artifact_bytes = max_artifact_bytes
        self._uploads = Uploads(engine, store, folder, job_id, attempt, max_bytes=max_artifact_bytes)
        self._refused: set[str] = set()
        """Files that their owner was told of."""
        self._offsets = shipped

    def _resume(self) -> Offsets:
        """How far this attempt was shipped, by whomever; asked at first, and after a commit whose fate is unknown."""
        with self._engine.begin() as connection:
            row = connection.execute(shipping.offsets(self._token)).first()
        if row is None:
            raise LeaseGoneError
        return Offsets(*row)

    def turn(self) -> bool:
        """Ship what is new; False when there was nothing.

        Raises:
            LeaseGoneError: stop; the attempt is over.
            DATABASE_AWAY: the database is away; call again later, nothing is lost.
        """
        self._uploads.sweep()
        before = self._offsets or self._resume()
        records, records_end = _lines(self._folder / RECORDS_FILE, before.records)
        samples, samples_end = _lines(self._folder / SAMPLES_FILE, before.samples)
        output, output_end = _tail(self._folder / OUTPUT_FILE, before.output)
        after = Offsets(records_end, samples_end, output_end)
        self._offsets = before
        if after == before:
            return False
        batch = _sort(records, samples)
        batch.output = output
        uploaded = self._uploads.upload(batch.files, batch.checkpoint)
        # Should the commit's answer be lost, the next turn asks the database how it ended.
        self._offsets = None
        with self._engine.begin() as connection:
            self._uploads.admit(connection, uploaded)
            self._write(connection, before, after, batch, uploaded)
        self._offsets = after
        self._uploads.committed(uploaded)
        self._refused.update(uploaded.refused)
        return True

    def take_back(self) -> None:
        """Delete from the store what this attempt uploaded for nothing; for an attempt whose lease is gone.

        Raises:
            DATABASE_AWAY: it could not be told what was for nothing; all of it stays.
        """
        self._uploads.sweep()

    def _write(
        self,
        connection: Connection,
        before: Offsets,
        after: Offsets,
        batch: _Batch,
        uploaded: Uploaded,
    ) -> None:
        if connection.execute(shipping.advance(self._token, before=before, after=after)).first() is None:
            raise LeaseGoneError
        own = {"job_id": self._job_id, "attempt": self._attempt}
        if batch.metrics:
            rows = [
                series.metric_chunk(self._job_id, self._attempt, name, steps=of.steps, times=of.times, values=of.values)
                for name, of in batch.metrics.items()
            ]
            connection.execute(series.keep_metrics(), rows)
        if batch.samples:
            connection.execute(insert(SampleChunk), [own | _sample_row(k, r) for k, r in batch.samples.items()])
        if batch.phases:
            connection.execute(insert(Phase), [own | {"time": time, "name": name} for time, name in batch.phases])
        self._uploads.name(connection, uploaded)
        if told := [name for name in uploaded.refused if name not in self._refused]:
            words = f"{', '.join(told)}: not kept, since its owner's files may take {self._max_artifact_bytes} bytes"
            connection.execute(remarks.warn(self._token, event="job.file_refused", actor=self._actor, message=words))
        if batch.output:
            self._keep_output(connection, batch.output)
        shown = _shown(batch)
        if shown:
            connection.execute(shipping.describe(self._job_id, **shown))
        connection.execute(select(func.pg_notify(DATA, str(self._job_id))))

    def _keep_output(self, connection: Connection, output: bytes) -> None:
        start = connection.execute(series.log_end(self._job_id)).scalar() or 0
        kept = output[: max(0, self._log_limit_bytes - start)]
        if kept:
            row = {"job_id": self._job_id, "start": start, "attempt": self._attempt, "data": kept}
            connection.execute(insert(LogChunk).values(row))


def last_record(folder: Path) -> dict[str, Any] | None:
    """The last whole record of a directory; the verdict, when the run got that far."""
    path = folder / RECORDS_FILE
    if not path.exists():
        return None
    data = path.read_bytes()
    end = data.rfind(b"\n")
    if end < 0:
        return None
    found: dict[str, Any] = orjson.loads(data[data.rfind(b"\n", 0, end) + 1 : end])
    return found


def _lines(path: Path, offset: int) -> tuple[list[dict[str, Any]], int]:
    """Whole lines after `offset`, decoded, and the offset behind them."""
    data, _ = _tail(path, offset)
    end = data.rfind(b"\n") + 1
    return [record for line in data[:end].splitlines() if (record := _decode(line))], offset + end


def _decode(line: bytes) -> dict[str, Any] | None:
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        record = None
    if isinstance(record, dict):
        return record
    # Not one of ours: a run that wrote into the file by hand. It must not stop the records behind it.
    log.warning("record.unreadable", line=line[:200])
    return None


def _tail(path: Path, offset: int) -> tuple[bytes, int]:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(MOST_BYTES)
    except FileNotFoundError:
        return b"", offset
    return data, offset + len(data)


def _sort(records: list[dict[str, Any]], samples: list[dict[str, Any]]) -> _Batch:
    batch = _Batch()
    for record in records:
        match record["type"]:
            case "metric":
                time, step = record["time"], record["step"]
                for name, value in record["values"].items():
                    batch.metrics[name].add(step, time, float(value))
            case "progress":
                batch.progress = record
            case "phase":
                batch.phases.append((record["time"], record["name"]))
            case "memory":
                batch.samples["allocator", None].append(_bytes_sample(record))
            case "prediction":
                batch.samples["prediction", None].append(_bytes_sample(record))
            case "artifact":
                batch.files[record["name"]] = record
            case "checkpoint":
                batch.checkpoint = record
            case "started":
                batch.versions = record["versions"]
    for sample in samples:
        batch.samples[sample["source"], sample.get("gpu")].append(sample)
    return batch


def _bytes_sample(record: dict[str, Any]) -> dict[str, Any]:
    values = {name: value for name, value in record.items() if name.endswith("_bytes")}
    return {"time": record["time"], "values": values, "reasons": {}}


def _sample_row(key: tuple[str, str | None], samples: list[dict[str, Any]]) -> dict[str, Any]:
    names = list(dict.fromkeys(name for sample in samples for name in sample["values"]))
    return {
        "source": key[0],
        "gpu_uuid": key[1],
        "times": [sample["time"] for sample in samples],
        "values": {name: [_finite(sample["values"].get(name)) for sample in samples] for name in names},
        "reasons": {name: reason for sample in samples for name, reason in sample["reasons"].items()},
    }


def _shown(batch: _Batch) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if batch.progress is not None:
        shown["progress_fraction"] = batch.progress["fraction"]
        shown["progress_message"] = batch.progress["message"].replace("\0", "")
    if batch.versions is not None:
        shown["versions"] = batch.versions
    return shown


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
