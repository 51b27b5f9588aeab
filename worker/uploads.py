"""Files of an attempt: into the store first, named in the shipper's transaction, within their owner's quota.

A key belongs to one attempt, so that only its shipper ever names it. Whatever was uploaded and is named by no row, and
whatever a newer file replaced, leaves the store again.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog
from obstore.store import ObjectStore
from sqlalchemy import Connection, Engine

from experiments.contract import ARTIFACTS_FOLDER, CHECKPOINTS_FOLDER
from gpulab.states import Role
from models.statements import allowances, series

log = structlog.get_logger()

Record = dict[str, Any]


@dataclass(slots=True)
class Uploaded:
    """What one turn took to the store: the records with their keys, and the names of files that have no room."""

    files: dict[str, tuple[Record, str]] = field(default_factory=dict)
    checkpoint: tuple[Record, str] | None = None
    refused: list[str] = field(default_factory=list)


class Uploads:
    """`max_bytes`: what all files of the job's owner may take together; null for no limit."""

    def __init__(
        self, engine: Engine, store: ObjectStore, folder: Path, job_id: UUID, attempt: int, *, max_bytes: int | None
    ) -> None:
        self._engine = engine
        self._store = store
        self._folder = folder
        self._job_id = job_id
        self._attempt = attempt
        self._max_bytes = max_bytes
        self._loose: set[str] = set()
        """Keys whose bytes may be in the store for nothing."""

    def upload(self, files: dict[str, Record], checkpoint: Record | None) -> Uploaded:
        """Copy files to the store, without those for which there is no room already."""
        done = Uploaded()
        if self._is_limited(files):
            with self._engine.begin() as connection:
                done.refused = self._without_room(connection, files)
        for name, record in files.items():
            if name not in done.refused and (key := self._put(ARTIFACTS_FOLDER, record)):
                done.files[name] = record, key
        if checkpoint and (key := self._put(CHECKPOINTS_FOLDER, checkpoint)):
            done.checkpoint = checkpoint, key
        return done

    def admit(self, connection: Connection, done: Uploaded) -> None:
        """Move to `refused` what others of the owner's jobs left no room for meanwhile.

        From here to the transaction's end no other job of the same owner names a file.
        """
        records = {name: record for name, (record, _) in done.files.items()}
        if self._is_limited(records):
            connection.execute(allowances.lock_owner(self._job_id))
            for name in self._without_room(connection, records):
                done.refused.append(name)
                del done.files[name]

    def name(self, connection: Connection, done: Uploaded) -> None:
        """Write the rows of what was uploaded and admitted."""
        own = {"job_id": self._job_id, "attempt": self._attempt}
        for record, key in done.files.values():
            replaced = connection.execute(series.keep_artifact(own | _file_row(record, key)))
            self._loose.update(filter(None, replaced.scalars()))
        if done.checkpoint:
            record, key = done.checkpoint
            replaced = connection.execute(series.keep_checkpoint(own | _checkpoint_row(record, key)))
            self._loose.update(filter(None, replaced.scalars()))

    def committed(self, done: Uploaded) -> None:
        """The rows stand."""
        self._loose.difference_update(key for _, key in [*done.files.values(), *filter(None, [done.checkpoint])])

    def sweep(self) -> None:
        """Delete from the store what no row names. Call it outside of a transaction that names files."""
        if not self._loose:
            return
        with self._engine.begin() as connection:
            named = set(connection.execute(series.keys(self._job_id)).scalars())
        for key in self._loose - named:
            try:
                self._store.delete(key)
            except FileNotFoundError:
                log.info("upload.never_arrived", key=key)
        self._loose.clear()

    def _is_limited(self, files: dict[str, Record]) -> bool:
        return bool(files) and self._max_bytes is not None

    def _without_room(self, connection: Connection, files: dict[str, Record]) -> list[str]:
        """The files for which their owner has no room, counted in the order in which they were written."""
        row = connection.execute(allowances.of_owner(self._job_id)).one()
        if row.role == Role.ADMIN or self._max_bytes is None:
            return []
        taken, refused = row.taken, []
        for name, record in files.items():
            more = record["size_bytes"] - (row.sizes or {}).get(name, 0)
            if more > 0 and taken + more > self._max_bytes:
                refused.append(name)
            else:
                taken += more
        return refused

    def _put(self, folder: str, record: Record) -> str | None:
        """Copy a file to the store; null when it was replaced meanwhile, since a later record names the newer one."""
        path = self._folder / folder / record["name"]
        key = f"jobs/{self._job_id}/{self._attempt}/{folder}/{record['sha256'][:16]}-{record['name']}"
        try:
            if path.stat().st_size != record["size_bytes"]:
                return None
            self._loose.add(key)
            self._store.put(key, path)
        except FileNotFoundError:
            log.info("file.replaced", name=record["name"])
            return None
        return key


def _file_row(record: Record, key: str) -> Record:
    return {"key": key, **{name: record[name] for name in ("name", "size_bytes", "sha256", "media_type")}}


def _checkpoint_row(record: Record, key: str) -> Record:
    kept = {name: record[name] for name in ("name", "step", "size_bytes")}
    return {"key": key, "recorded_time": record["time"], **kept}
