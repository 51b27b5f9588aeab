"""What a student's program says to the lab: `from gpulab import run`.

In a job of a lab every call becomes a record that the dashboard shows. Anywhere else the calls print and write below
`outputs/`, so that one file runs at home and in the lab. All of it needs the standard library only, and may be called
from any thread and from forked processes.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsFloat

from gpulab.run import stopping
from gpulab.run.files import RESULT_FILE, RunFiles, whole_file
from gpulab.run.home import HomeRun
from gpulab.run.values import OF_VALUES_OR_TIME, Scalar, check_result

if TYPE_CHECKING:
    seed: int
    """The job's seed; 0 outside of a lab."""
    parameters: dict[str, Scalar]
    """The run's parameters by name; empty outside of a lab."""
    datasets: Mapping[str, Path]
    """Folders of the run's data sets by name; outside of a lab those below `datasets/`."""
    in_lab: bool
    """Whether this program runs in a lab."""

__all__ = [
    "artifact",
    "checkpoint",
    "datasets",
    "in_lab",
    "latest_checkpoint",
    "metrics",
    "parameters",
    "progress",
    "result",
    "seed",
    "should_stop",
]


class _LabRun(RunFiles):
    """A run of a lab."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._is_emulated = bool(os.environ.get("GPULAB_VALUES_UNKNOWN"))
        self._steps: dict[str, int] = {}
        self._has_gone_back = False

    def metrics(self, step: int, values: Mapping[str, Any], **fields: Any) -> None:
        super().metrics(step, values, **fields)
        for name in values:
            before, self._steps[name] = self._steps.get(name), int(step)
            if before is not None and step < before and not self._has_gone_back:
                self._has_gone_back = True
                words = (
                    f"the steps of {name!r} went back from {before} to {int(step)}: its curve overlaps itself. Count"
                )
                self.record("warning", message=f"{words} steps over the whole run, not from 0 in each epoch")

    def _is_kept(self, name: str) -> bool:
        return not (self._is_emulated and OF_VALUES_OR_TIME.search(name))

    def result(self, values: Mapping[str, Any]) -> None:
        with whole_file(self.folder / RESULT_FILE) as path:
            path.write_text(json.dumps(values), encoding="utf-8")


class _Datasets(dict[str, Path]):
    def __missing__(self, name: str) -> Path:
        known = ", ".join(sorted(self)) or "none"
        raise LookupError(f"this run has no data set {name!r}; it has: {known}")


def metrics(step: int, values: Mapping[str, SupportsFloat] | None = None, /, **named: SupportsFloat) -> None:
    """Record numbers at a step: `run.metrics(step, loss=loss)` or `run.metrics(step, {"loss/train": loss})`.

    A step is a whole number that must not decrease, such as a count of optimizer steps. NaN and infinity are allowed.
    Raises `ValueError` for a name that cannot be stored.
    """
    _current().metrics(step, {**(values or {}), **named})


def progress(done: float, total: float | None = None, message: str = "") -> None:
    """Say how far the run is: `run.progress(3, 10)`, or a share from 0 to 1, and in a few words what it does."""
    _current().progress(done if total is None else done / total if total else 0.0, message)


def artifact(source: str | os.PathLike[str] | bytes, name: str | None = None) -> None:
    """Keep a file, or bytes, as the artifact `name`; by default the file's own name."""
    if not isinstance(source, bytes | str | os.PathLike):
        raise TypeError(f"artifact: a path or bytes are needed, not {type(source).__name__}: save it to a file first")
    if not isinstance(source, bytes):
        name = name or Path(source).name
    if name is None:
        raise ValueError("artifact: bytes need a name, as in run.artifact(data, 'table.csv')")
    with _current().artifact(name) as path:
        if isinstance(source, bytes):
            path.write_bytes(source)
        else:
            shutil.copyfile(source, path)


def checkpoint(step: int) -> AbstractContextManager[Path]:
    """Save the state, to continue after a lost node: `with run.checkpoint(step) as path: torch.save(state, path)`.

    The file replaces the checkpoint before it, whole or not at all.
    """
    return _current().checkpoint(step)


def latest_checkpoint() -> tuple[int, Path] | None:
    """The step and the file to continue from, or None for a fresh start; always None outside of a lab."""
    return _current().latest_checkpoint()


def should_stop() -> bool:
    """Whether the run shall end: its time is up, it was cancelled, or it gives way. Save what is useful, and return.

    A program that never asks is interrupted as by Ctrl-C.
    """
    return stopping.should_stop()


def result(values: Mapping[str, Any]) -> None:
    """Set the run's result, a dict of numbers and texts, which the lab compares; a later call replaces an earlier one.

    NaN and infinity become null.
    """
    _current().result(check_result(values))


@cache
def _current() -> _LabRun | HomeRun:
    folder = os.environ.get("GPULAB_RUN_DIRECTORY")
    return HomeRun() if folder is None else _LabRun(Path(folder))


def _seed() -> int:
    return int(os.environ.get("GPULAB_SEED", "0"))


def _parameters() -> dict[str, Scalar]:
    found: dict[str, Scalar] = json.loads(os.environ.get("GPULAB_PARAMETERS", "{}"))
    return found


def _datasets() -> Mapping[str, Path]:
    folder = Path(os.environ.get("GPULAB_DATASETS", "datasets"))
    return _Datasets({each.name: each for each in folder.iterdir()} if folder.is_dir() else {})


def _in_lab() -> bool:
    return "GPULAB_RUN_DIRECTORY" in os.environ


_ATTRIBUTES: dict[str, Callable[[], Any]] = {
    "seed": _seed,
    "parameters": _parameters,
    "datasets": _datasets,
    "in_lab": _in_lab,
}


def __getattr__(name: str) -> Any:
    if name not in _ATTRIBUTES:
        raise AttributeError(f"module 'gpulab.run' has no attribute {name!r}")
    return _ATTRIBUTES[name]()
