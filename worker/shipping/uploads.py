"""Files of an attempt: into the store first, named in the shipper's transaction, within their owner's quota.

A key belongs to one attempt, so that only its shipper ever names it. Whatever was uploaded and is named by no row, and
whatever a newer file replaced, leaves the store again.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog
from obstore.exceptions import BaseError as StoreError
from obstore.store import ObjectStore
from sqlalchemy import Connection, Engine

from experiments.hosting.wire import CheckpointFile, File
from gpulab.run.files import ARTIFACTS_FOLDER, CHECKPOINTS_FOLDER
from gpulab.states import Role
from models.composed import run
from models.database import first_line
from models.statements import allowances, series
from worker.programs.beneath import RefusedFileError, plain_file

PIECE_BYTES = 4 * 2**20

log = structlog.get_logger()


@dataclass(slots=True)
class Files:
    """Files of a run that are complete, the newest of each name."""

    artifacts: dict[str, File] = field(default_factory=dict)
    checkpoint: CheckpointFile | None = None

    def __bool__(self) -> bool:
        return bool(self.artifacts) or self.checkpoint is not None

    def add(self, record: File | CheckpointFile) -> None:
        if isinstance(record, File):
            self.artifacts[record.name] = record
        else:
            self.checkpoint = record

    def updated(self, newer: "Files") -> "Files":
        return Files(self.artifacts | newer.artifacts, newer.checkpoint or self.checkpoint)

    def without(self, keys: set[str], key: Callable[[File | CheckpointFile], str]) -> "Files":
        """Those whose key is none of `keys`."""
        checkpoint = self.checkpoint
        return Files(
            {name: file for name, file in self.artifacts.items() if key(file) not in keys},
            None if checkpoint is None or key(checkpoint) in keys else checkpoint,
        )

    def names(self) -> list[str]:
        return [*self.artifacts, *([self.checkpoint.name] if self.checkpoint else [])]


@dataclass(slots=True)
class Uploaded:
    """What one turn took to the store: the records with their keys, the names of files that have no room, and the files
    that the store does not take now.
    """

    files: dict[str, tuple[File, str]] = field(default_factory=dict)
    checkpoint: tuple[CheckpointFile, str] | None = None
    refused: list[str] = field(default_factory=list)
    waiting: Files = field(default_factory=Files)
    trouble: str | None = None
    """What the store said."""

    @property
    def has_news(self) -> bool:
        """Whether there is something to write of it into the database."""
        return bool(self.files or self.checkpoint or self.refused)


class Uploads:
    """`max_bytes`: what all files of the job's owner may take together; null for no limit. `is_checked`: whether a file
    must have the digest that its record names, since a student's program can write any record.
    """

    def __init__(
        self,
        engine: Engine,
        store: ObjectStore,
        folder: Path,
        job_id: UUID,
        attempt: int,
        *,
        max_bytes: int | None,
        is_checked: bool = False,
    ) -> None:
        self._engine = engine
        self._store = store
        self._folder = folder
        self._job_id = job_id
        self._attempt = attempt
        self._max_bytes = max_bytes
        self._is_checked = is_checked
        self._loose: set[str] = set()
        """Keys whose bytes may be in the store for nothing."""

    def upload(self, files: Files) -> Uploaded:
        """Copy files to the store, without those for which there is no room already."""
        done = Uploaded()
        if self._is_limited(files.artifacts):
            with self._engine.begin() as connection:
                done.refused = self._without_room(connection, files.artifacts)
        wanted: list[File | CheckpointFile]
        wanted = [file for name, file in files.artifacts.items() if name not in done.refused]
        if files.checkpoint is not None:
            wanted.append(files.checkpoint)
        for record in wanted:
            if not self._try(done, record):
                done.waiting.add(record)
        return done

    def _try(self, done: Uploaded, record: File | CheckpointFile) -> bool:
        """Whether the file need not be tried again."""
        if done.trouble is not None:
            return False
        try:
            key = self._put(record)
        except StoreError as error:
            # Other people read why they wait: the rest of the words names files of this job.
            done.trouble = first_line(error).rpartition(": ")[2]
            log.warning("store.refused", reason=first_line(error), name=record.name)
            return False
        if key and isinstance(record, CheckpointFile):
            done.checkpoint = record, key
        elif key and isinstance(record, File):
            done.files[record.name] = record, key
        return True

    def admit(self, connection: Connection, done: Uploaded) -> None:
        """Move to `refused` what others of the owner's jobs left no room for meanwhile.

        From here to the transaction's end no other job of the same owner names a file.
        """
        records = {name: record for name, (record, _) in done.files.items()}
        if self._is_limited(records):
            run(connection, allowances.lock_owner, job_id=self._job_id)
            for name in self._without_room(connection, records):
                done.refused.append(name)
                del done.files[name]

    def name(self, connection: Connection, done: Uploaded) -> None:
        """Write the rows of what was uploaded and admitted."""
        own = {"job_id": self._job_id, "attempt": self._attempt}
        for record, key in done.files.values():
            replaced = run(connection, series.keep_artifact, values=own | _file_row(record, key))
            self._loose.update(filter(None, replaced.scalars()))
        if done.checkpoint:
            replaced = run(connection, series.keep_checkpoint, values=own | _checkpoint_row(*done.checkpoint))
            self._loose.update(filter(None, replaced.scalars()))

    def committed(self, done: Uploaded) -> None:
        """The rows stand."""
        self._loose.difference_update(key for _, key in [*done.files.values(), *filter(None, [done.checkpoint])])

    def sweep(self) -> None:
        """Delete from the store what no row names. Call it outside of a transaction that names files."""
        if not self._loose:
            return
        for key in self._loose - self.named():
            try:
                self._store.delete(key)
            except FileNotFoundError:
                log.info("upload.never_arrived", key=key)
            except StoreError as error:
                log.warning("upload.left_behind", key=key, reason=first_line(error))
        self._loose.clear()

    def named(self) -> set[str]:
        """The keys of the job's files that rows name."""
        with self._engine.begin() as connection:
            return set(run(connection, series.keys, job_id=self._job_id).scalars())

    def key(self, record: File | CheckpointFile) -> str:
        """Where a file of this attempt goes."""
        return f"jobs/{self._job_id}/{self._attempt}/{_folder(record)}/{record.sha256[:16]}-{record.name}"

    def _is_limited(self, files: dict[str, File]) -> bool:
        return bool(files) and self._max_bytes is not None

    def _without_room(self, connection: Connection, files: dict[str, File]) -> list[str]:
        """The files for which their owner has no room, counted in the order in which they were written."""
        row = run(connection, allowances.of_owner, job_id=self._job_id).one()
        if row.role == Role.ADMIN or self._max_bytes is None:
            return []
        taken, refused = row.taken, []
        for name, record in files.items():
            more = record.size_bytes - (row.sizes or {}).get(name, 0)
            if more > 0 and taken + more > self._max_bytes:
                refused.append(name)
            else:
                taken += more
        return refused

    def _put(self, record: File | CheckpointFile) -> str | None:
        """Copy a file to the store; null when it was replaced meanwhile, since a later record names the newer one."""
        key = self.key(record)
        try:
            with plain_file(self._folder, _folder(record), record.name) as file:
                if os.fstat(file).st_size != record.size_bytes:
                    return None
                self._loose.add(key)
                content = _Content(file, record.size_bytes)
                # A store takes a small file in one request, and a sequence in three.
                self._store.put(key, b"".join(content) if record.size_bytes <= PIECE_BYTES else iter(content))
        except (OSError, RefusedFileError) as error:
            log.info("file.replaced", name=record.name, reason=str(error))
            return None
        if self._is_checked and content.sha256 != record.sha256:
            log.info("file.replaced", name=record.name, reason="its content does not match its record")
            return None
        return key


class _Content:
    """The bytes of a file in pieces, no more than there were at first, and their digest when all were taken."""

    def __init__(self, file: int, size_bytes: int) -> None:
        self._file = file
        self._size_bytes = size_bytes
        self._digest = hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        at = 0
        while at < self._size_bytes and (piece := os.pread(self._file, min(PIECE_BYTES, self._size_bytes - at), at)):
            self._digest.update(piece)
            at += len(piece)
            yield piece

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


def _folder(record: File | CheckpointFile) -> str:
    return ARTIFACTS_FOLDER if isinstance(record, File) else CHECKPOINTS_FOLDER


def _file_row(record: File, key: str) -> dict[str, Any]:
    return {"key": key, **record.model_dump(include={"name", "size_bytes", "sha256", "media_type"})}


def _checkpoint_row(record: CheckpointFile, key: str) -> dict[str, Any]:
    kept = record.model_dump(include={"name", "step", "size_bytes"})
    return {"key": key, "recorded_time": record.time, **kept}
