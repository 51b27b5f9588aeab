"""Students' programs on this node: fetched from the object store once, checked against their name, kept for a while."""

import os
import time
from pathlib import Path
from shutil import copyfile, rmtree
from uuid import uuid4

import structlog
from obstore.store import ObjectStore

from gpulab.program_archives import read_archive
from gpulab.program_files import Program, ProgramFilesError, ProgramLimits

KEEP_SECONDS = 7 * 86_400.0
"""After its last run; it is fetched again when it is needed."""
MAX_ARCHIVE_BYTES = 256 * 2**20
MAX_FILES = 10_000
"""Far above what the lab accepts: a guard against an object that is no program."""

log = structlog.get_logger()


class ProgramError(Exception):
    """A program that cannot be run here or anywhere else, in words."""


class Programs:
    """`folder` may be shared by several workers: a program appears there whole or not at all."""

    def __init__(self, folder: Path, store: ObjectStore) -> None:
        self._folder = folder
        self._store = store

    def copy(self, sha256: str, target: Path) -> None:
        """Copy the files of a program into a folder. Raises `ProgramError`, and what the store raises when it is away.

        Nothing but the lab may write to `target` meanwhile.
        """
        source = self.fetch(sha256)
        for path in sorted(source.rglob("*")):
            place = target / path.relative_to(source)
            if path.is_dir():
                place.mkdir(exist_ok=True)
            else:
                copyfile(path, place)

    def fetch(self, sha256: str) -> Path:
        """The folder with its files, as they were uploaded. Raises as `copy` does."""
        place = self._folder / sha256
        if place.is_dir():
            os.utime(place)
            return place
        self._unpack(_checked(self._archive(sha256), sha256), place)
        self.evict()
        return place

    def evict(self, now: float | None = None) -> None:
        """Delete what was not used for a while."""
        oldest = (time.time() if now is None else now) - KEEP_SECONDS
        for place in self._folder.iterdir():
            if place.stat().st_mtime < oldest:
                log.info("program.evicted", sha256=place.name)
                rmtree(place, ignore_errors=True)

    def _archive(self, sha256: str) -> bytes:
        try:
            found = self._store.get(f"programs/{sha256}.tar")
            if found.meta["size"] > MAX_ARCHIVE_BYTES:
                raise ProgramError(f"its program takes more than {MAX_ARCHIVE_BYTES} bytes")
            return bytes(found.bytes())
        except FileNotFoundError:
            raise ProgramError(f"the store does not have its program {sha256}") from None

    def _unpack(self, program: Program, place: Path) -> None:
        own = self._folder / f".{place.name}-{uuid4().hex}"
        try:
            for path, content in program.contents.items():
                (own / path).parent.mkdir(parents=True, exist_ok=True)
                (own / path).write_bytes(content)
                (own / path).chmod(0o444)
            own.rename(place)
        except OSError:
            if not place.is_dir():  # another worker was faster
                raise
        finally:
            rmtree(own, ignore_errors=True)


def _checked(archive: bytes, sha256: str) -> Program:
    """What an archive holds, if its content has this name. Raises `ProgramError`."""
    try:
        found = read_archive(archive, ProgramLimits(MAX_ARCHIVE_BYTES, MAX_FILES))
    except ProgramFilesError as error:
        raise ProgramError(f"the stored archive of its program cannot be read: {error}") from error
    if found.sha256 != sha256:
        raise ProgramError(f"the stored archive is not its program {sha256}")
    return found
