"""A folder of backups, of which the newest few are kept.

A backup is written as `gpulab-TIME.partial` and gets its name once it is complete and verified; only then are older
ones removed. What a backup left that was cut off goes first: it may hold the room that the new one needs. Nothing is
removed that this module did not make.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from migrations.backup import DUMP, FILES, MANIFEST, BackupError, BackupSettings, back_up
from migrations.verify import NAME, checked, complete, manifest_of

PARTIAL = ".partial"
LOCK = ".gpulab-backups.lock"
OURS = frozenset({MANIFEST, f".{MANIFEST}", DUMP, FILES})


@dataclass(frozen=True)
class Kept:
    """A new backup, and what became of those beside it."""

    folder: Path
    manifest: dict[str, Any]
    removed: list[Path]
    left: list[Path]
    """Old, but with something inside that is no part of a backup."""


def back_up_keeping(settings: BackupSettings, parent: Path, keep: int) -> Kept:
    """Add a backup to `parent` and remove all but the newest `keep`. Raises `BackupError`; old ones then all stay."""
    if (parent / MANIFEST).exists():
        raise BackupError(f"{parent} is itself a backup: with --keep, name the folder for all backups")
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(parent):
        half = [path for path in _unfinished(parent) if _is_ours(path)]
        for path in half:
            shutil.rmtree(path, ignore_errors=True)
        name = f"gpulab-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        partial, folder = parent / f"{name}{PARTIAL}", parent / name
        if folder.exists() or partial.exists():
            raise BackupError(f"{folder} was made in the same second: try again")
        back_up(settings, partial)
        manifest = checked(partial)
        partial.rename(folder)
        # Old ones go only when the new one would survive a power cut.
        os.sync()
        # Never the new one, though a clock that was once ahead left names that are later.
        others = [path for path in complete(parent) if path != folder]
        old = others[: max(0, len(others) - keep + 1)]
        removed = [path for path in old if _is_ours(path)]
        for path in removed:
            shutil.rmtree(path)
        gone = [path for path in half if not path.exists()]
        left = [path for path in [*old, *_unfinished(parent)] if path not in removed]
        return Kept(folder, manifest, gone + removed, left)


def _unfinished(parent: Path) -> list[Path]:
    """What backups left that were cut off. None of them is being written: that one would hold the lock."""
    return sorted(path for path in parent.iterdir() if NAME.fullmatch(path.name.removesuffix(PARTIAL))
                  and path.name.endswith(PARTIAL) and path.is_dir() and not path.is_symlink())  # fmt: skip


def _is_ours(folder: Path) -> bool:
    """Whether nothing is inside but what a backup writes."""
    if not {path.name for path in folder.iterdir()} <= OURS:
        return False
    manifest = manifest_of(folder)
    if manifest is None:
        return folder.name.endswith(PARTIAL)
    written = {folder / FILES / file["key"] for file in manifest["files"]}
    return {path for path in (folder / FILES).rglob("*") if not path.is_dir()} <= written


@contextmanager
def _alone(parent: Path) -> Iterator[None]:
    with (parent / LOCK).open("w", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BackupError(f"another backup is being written to {parent}: wait for its end") from None
        yield
