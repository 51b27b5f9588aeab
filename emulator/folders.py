"""Temporary folders that carry the pid of their owner: what a killed process leaves is removed by the next one."""

import os
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from tempfile import gettempdir, mkdtemp

PREFIX = "gpulab-emulated-"


def new_folder() -> Path:
    """A folder for this process, which removes it when it ends."""
    for folder in Path(gettempdir()).glob(f"{PREFIX}*-*"):
        with suppress(OSError):  # another process removes it too
            if _is_orphan(folder):
                rmtree(folder)
    return Path(mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))


def _is_orphan(folder: Path) -> bool:
    owner = folder.name.removeprefix(PREFIX).partition("-")[0]
    return owner.isdigit() and not Path("/proc", owner).exists() and folder.stat().st_uid == os.getuid()
