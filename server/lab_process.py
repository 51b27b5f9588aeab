"""Starting one process of the server from the command line, once everything that it needs is named."""

import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from server.up import CHECKOUT

SHARED = {
    "DATABASE_URL": "the lab's PostgreSQL, such as postgresql://gpulab:PASSWORD@central:5432/gpulab",
    "REDIS_URL": "the lab's Redis, such as redis://:PASSWORD@central:6379/0",
    "GPULAB_ARTIFACTS_URL": "where files of runs go, such as s3://lab/artifacts or file:///srv/shared/artifacts",
}
"""What every process needs and has no default for."""


class LabProcessError(RuntimeError):
    """The process cannot be started; the message says what is missing."""


def become(module: str, settings: Mapping[str, str]) -> NoReturn:
    """Replace this process by a process of the server. Raises `LabProcessError`."""
    env = {**os.environ, **settings}
    if missing := [f"  {name}  {words}" for name, words in SHARED.items() if not env.get(name)]:
        raise LabProcessError("set in the environment:\n" + "\n".join(missing))
    _replace_by(module, (), env)


def become_joined(arguments: Sequence[str], settings: Mapping[str, str]) -> NoReturn:
    """Replace this process by the worker of a lab that is shared by another machine. Raises `LabProcessError`."""
    if given := [name for name in SHARED if os.environ.get(name)]:
        raise LabProcessError(
            f"{given[0]} is set: a worker finds its lab by addresses in the environment, or joins by a line, not both"
        )
    _require("worker")
    _replace_by("server.joining", arguments, {**os.environ, **settings})


def _replace_by(module: str, arguments: Sequence[str], env: Mapping[str, str]) -> NoReturn:
    _require(module.partition(".")[0])
    os.chdir(CHECKOUT)
    os.execve(sys.executable, [sys.executable, "-m", module, *arguments], env)  # noqa: S606 - ours, and no shell


def _require(package: str) -> None:
    if importlib.util.find_spec(package) is None and not (CHECKOUT / package).is_dir():
        raise LabProcessError(f"{package} is not installed: it runs from a checkout, pip install -e '.[worker]' there")
