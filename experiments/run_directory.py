"""The run as a directory: the only thing a job's process writes. See `contract.Run` for what each call means.

`records.ndjson` gets one JSON object a line, written with a single `write(2)` each, so that a reader that stops at the
last newline never sees half a record, whenever the process dies. Files appear under their final name when complete.
"""

import errno
import hashlib
import json
import math
import mimetypes
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from experiments import wire
from experiments.contract import ARTIFACTS_FOLDER, CHECKPOINTS_FOLDER, RECORDS_FILE
from experiments.emulated import is_known, runs_on_emulated
from experiments.memory.contract import Constants
from gpulab.csv_text import csv_text

ARTIFACT_NAME = re.compile(wire.ARTIFACT_NAME)
METRIC_NAME = re.compile(wire.METRIC_NAME)
LATEST_CHECKPOINT = "latest.json"


class RunDirectory:
    """Writes one attempt's records and files below `folder`."""

    def __init__(
        self,
        folder: Path,
        *,
        seed: int = 0,
        device: str = "cpu",
        datasets_folder: Path | None = None,
        cache_folder: Path | None = None,
        gpu_constants: Constants | None = None,
    ) -> None:
        self.folder = folder
        self.seed = seed
        self.device = device
        self.datasets_folder = datasets_folder or folder / "datasets"
        self.cache_folder = cache_folder or folder / "cache"
        self.gpu_constants = gpu_constants
        for part in (ARTIFACTS_FOLDER, CHECKPOINTS_FOLDER):
            (folder / part).mkdir(parents=True, exist_ok=True)
        self._records = os.open(folder / RECORDS_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self.current_phase: str | None = None
        self.is_predicted = False
        self.is_emulated = runs_on_emulated(device)
        self._stop = False
        self._known_names: set[str] = set()

    def record(self, kind: str, **fields: Any) -> None:
        """Append one record; `time` is seconds since the epoch. Raises `OSError` where it cannot be written whole."""
        line = wire.encode(kind, fields)
        written = os.write(self._records, line)
        if written < len(line):  # a full disk; half a line must not spoil the next one
            os.ftruncate(self._records, os.fstat(self._records).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), RECORDS_FILE)

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        for name in values.keys() - self._known_names:
            if not METRIC_NAME.fullmatch(name):
                raise ValueError(f"metric name {name!r} does not match {METRIC_NAME.pattern}")
            self._known_names.add(name)
        known = {name: _number(value) for name, value in values.items() if not self.is_emulated or is_known(name)}
        if known:
            self.record("metric", step=int(step), values=known)

    def progress(self, fraction: float, message: str = "") -> None:
        share = float(fraction)
        self.record("progress", fraction=min(max(share, 0.0), 1.0) if share == share else 0.0, message=message[:200])

    def phase(self, name: str) -> None:
        self.current_phase = name
        self.record("phase", name=name)

    def memory(self, *, allocated_bytes: int, reserved_bytes: int, peak_allocated_bytes: int | None = None) -> None:
        self.record(
            "memory",
            allocated_bytes=allocated_bytes,
            reserved_bytes=reserved_bytes,
            peak_allocated_bytes=peak_allocated_bytes,
        )

    def prediction(self, predicted: Mapping[str, int]) -> None:
        self.is_predicted = True
        self.record("prediction", **predicted)

    @contextmanager
    def artifact(self, name: str) -> Iterator[Path]:
        if not ARTIFACT_NAME.fullmatch(name):
            raise ValueError(f"artifact name {name!r} does not match {ARTIFACT_NAME.pattern}")
        with _whole_file(self.folder / ARTIFACTS_FOLDER / name) as path:
            yield path
        self._announce("artifact", self.folder / ARTIFACTS_FOLDER / name)

    def table(self, name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        shown = [not self.is_emulated or is_known(column) for column in columns]
        cells = ([cell if show else None for cell, show in zip(row, shown, strict=True)] for row in rows)
        with self.artifact(f"{name}.csv") as path:
            path.write_text(csv_text([columns, *cells]), encoding="utf-8", newline="")

    @contextmanager
    def checkpoint(self, step: int) -> Iterator[Path]:
        folder = self.folder / CHECKPOINTS_FOLDER
        name = f"step-{step}.ckpt"
        with _whole_file(folder / name) as path:
            yield path
        with _whole_file(folder / LATEST_CHECKPOINT) as path:
            path.write_text(json.dumps({"step": step, "file": name}), encoding="utf-8")
        for old in folder.glob("step-*.ckpt"):
            if old.name != name:
                old.unlink()
        self._announce("checkpoint", folder / name, step=step)

    def latest_checkpoint(self) -> tuple[int, Path] | None:
        latest = self.folder / CHECKPOINTS_FOLDER / LATEST_CHECKPOINT
        if not latest.exists():
            return None
        found = json.loads(latest.read_text(encoding="utf-8"))
        self.record("resumed", step=found["step"])
        return found["step"], latest.parent / found["file"]

    def should_stop(self) -> bool:
        return self._stop

    def ask_to_stop(self) -> None:
        """Make `should_stop` answer True from now on; safe to call from a signal handler."""
        self._stop = True

    def close(self) -> None:
        os.close(self._records)

    def _announce(self, kind: str, path: Path, **fields: Any) -> None:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        self.record(
            kind,
            name=path.name,
            size_bytes=path.stat().st_size,
            sha256=digest,
            media_type=media_type,
            **fields,
        )


def place_checkpoint(folder: Path, step: int, name: str) -> Path:
    """Make `name` the checkpoint a fresh attempt in `folder` goes on from; returns the path to write it to."""
    checkpoints = folder / CHECKPOINTS_FOLDER
    checkpoints.mkdir(parents=True, exist_ok=True)
    (checkpoints / LATEST_CHECKPOINT).write_text(json.dumps({"step": step, "file": name}), encoding="utf-8")
    return checkpoints / name


def _number(value: float) -> float | str:
    """JSON has no word for a non-finite number; the string is what `float()` reads back."""
    value = float(value)
    return value if math.isfinite(value) else str(value)


@contextmanager
def _whole_file(path: Path) -> Iterator[Path]:
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
