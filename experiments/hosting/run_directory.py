"""The run as a directory: the only thing a job's process writes. See `contract.Run` for what each call means.

The files themselves, which a student's program writes too, are those of `gpulab/run/files.py`.
"""

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.hosting import wire
from experiments.hosting.emulated import is_known, runs_on_emulated
from experiments.memory.processes import NotPredictedError
from gpulab.csv_text import csv_text
from gpulab.run.files import CHECKPOINTS_FOLDER, LATEST_CHECKPOINT, RunFiles
from gpulab.schemas.memory import Constants, Prediction


class RunDirectory(RunFiles):
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
        super().__init__(folder)
        self.seed = seed
        self.device = device
        self.datasets_folder = datasets_folder or folder / "datasets"
        self.cache_folder = cache_folder or folder / "cache"
        self.gpu_constants = gpu_constants
        self.current_phase: str | None = None
        self._expected: Callable[[], Prediction] | None = None
        self._prediction: Prediction | None = None
        self.is_emulated = runs_on_emulated(device)
        self._stop = False

    def _encode(self, kind: str, fields: Mapping[str, Any]) -> bytes:
        return wire.encode(kind, fields)

    def _is_kept(self, name: str) -> bool:
        return not self.is_emulated or is_known(name)

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

    def expect(self, prediction: Callable[[], Prediction]) -> None:
        """Say where the prediction comes from; the first caller waits for it."""
        self._expected = prediction

    def predicted(self) -> Prediction | None:
        if self._expected is not None:
            expected, self._expected = self._expected, None
            self._prediction = _known(expected)
            if self._prediction is not None:
                self.record("prediction", **self._prediction.levels())
        return self._prediction

    def table(self, name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        shown = [not self.is_emulated or is_known(column) for column in columns]
        cells = ([cell if show else None for cell, show in zip(row, shown, strict=True)] for row in rows)
        with self.artifact(f"{name}.csv") as path:
            path.write_text(csv_text([columns, *cells]), encoding="utf-8", newline="")

    def should_stop(self) -> bool:
        return self._stop

    def ask_to_stop(self) -> None:
        """Make `should_stop` answer True from now on; safe to call from a signal handler."""
        self._stop = True


def place_checkpoint(folder: Path, step: int, name: str) -> Path:
    """Make `name` the checkpoint a fresh attempt in `folder` goes on from; returns the path to write it to."""
    checkpoints = folder / CHECKPOINTS_FOLDER
    checkpoints.mkdir(parents=True, exist_ok=True)
    (checkpoints / LATEST_CHECKPOINT).write_text(json.dumps({"step": step, "file": name}), encoding="utf-8")
    return checkpoints / name


def _known(expected: Callable[[], Prediction]) -> Prediction | None:
    try:
        # The list of modules is long, and the run's estimate has it.
        return expected().model_copy(update={"modules": None})
    except (ValueError, NotPredictedError) as error:
        print(f"its GPU memory is not predicted: {error}", file=sys.stderr)  # noqa: T201 - goes to output.log
        return None
