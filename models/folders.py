"""What folders take on a disk."""

import os
import shutil
from pathlib import Path
from typing import NamedTuple

BLOCK_BYTES = 512
"""Unit of `st_blocks`, whatever the file system."""


class FolderUse(NamedTuple):
    size_bytes: int
    free_bytes: int
    """Of its file system."""


def folder_use(folder: Path) -> FolderUse | None:
    """None where there is no such folder, or its file system gives no answer."""
    try:
        return FolderUse(folder_bytes(folder), shutil.disk_usage(folder).free) if folder.is_dir() else None
    except OSError:
        return None


def folder_bytes(folder: Path) -> int:
    """Disk taken by everything below a folder. Links are not followed; what vanishes or is closed counts as nothing."""
    total = 0
    waiting: list[str | Path] = [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    total += _own_bytes(entry)
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except OSError:
            continue
    return total


def _own_bytes(entry: "os.DirEntry[str]") -> int:
    try:
        return entry.stat(follow_symlinks=False).st_blocks * BLOCK_BYTES
    except OSError:
        return 0
