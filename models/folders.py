"""What folders take on a disk."""

import os
from pathlib import Path

BLOCK_BYTES = 512
"""Unit of `st_blocks`, whatever the file system."""


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
