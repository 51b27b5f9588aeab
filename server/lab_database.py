"""The servers of one lab for a moment, for what is done to a lab that may be up or not: backing up, restoring."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from server.child_process import FolderInUseError, FolderLock
from server.embedded import EmbeddedError, EmbeddedPostgres
from server.up import CHECKOUT, LabError


@contextmanager
def database_of(data: Path, *, may_run: bool) -> Iterator[Mapping[str, str]]:
    """The environment in which a process finds the database and the files of a lab.

    With DATABASE_URL set, that one. Otherwise the lab in `data`: its server where it is up, else one started for this.
    Raises `LabError` where there is none, or where it is up and must not be.
    """
    folder = data.absolute()
    env = dict(os.environ)
    if "DATABASE_URL" in env:
        if "GPULAB_ARTIFACTS_URL" not in env:
            raise LabError("DATABASE_URL is set and GPULAB_ARTIFACTS_URL is not: where are the files of its runs?")
        yield env
        return
    env.setdefault("GPULAB_ARTIFACTS_URL", (folder / "artifacts").as_uri())
    postgres = EmbeddedPostgres(folder / "postgres")
    if may_run and not postgres.data.exists():
        raise LabError(f"there is no lab in {folder}: choose its folder with --data, or set DATABASE_URL")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = FolderLock(folder / "lab.lock")
    try:
        lock.acquire()
    except FolderInUseError as error:
        if not may_run:
            raise LabError(f"a lab is running on {folder} (pid {error.pid}): stop it first") from None
        yield env | {"DATABASE_URL": postgres.url}
        return
    try:
        with postgres:
            yield env | {"DATABASE_URL": postgres.url}
    except EmbeddedError as error:
        raise LabError(str(error)) from error
    finally:
        lock.release()


def call(module: str, folder: Path, env: Mapping[str, str], *options: str) -> int:
    """Run a process of the server on a folder, with its output on ours; returns its exit status."""
    return subprocess.run(
        [sys.executable, "-m", module, *options, folder.absolute()], env=env, cwd=CHECKOUT, check=False
    ).returncode
