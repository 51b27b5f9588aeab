"""The same calls outside of a lab: they print, write below `outputs/`, and the program goes on."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gpulab.run.files import whole_file
from gpulab.run.values import check_artifact_name, check_metric_name, check_step, number_as_json

PRINT_INTERVAL_SECONDS = 1.0
OUTPUTS = Path("outputs")


class HomeRun:
    """A run outside of a lab."""

    def __init__(self) -> None:
        self._known_names: set[str] = set()
        self._printed_at: dict[str, float] = {}

    def metrics(self, step: int, values: Mapping[str, Any]) -> None:
        whole = check_step(step)
        for name in values.keys() - self._known_names:
            self._known_names.add(check_metric_name(name, len(self._known_names)))
        numbers = {name: float(number_as_json(value, name)) for name, value in values.items()}
        shown = ", ".join(f"{name} {number:g}" for name, number in numbers.items())
        self._print_now_and_then("metrics", f"step {whole}: {shown}")

    def progress(self, fraction: float, message: str = "") -> None:
        self._print_now_and_then("progress", f"{fraction:.0%} {message}".rstrip())

    @contextmanager
    def artifact(self, name: str) -> Iterator[Path]:
        OUTPUTS.mkdir(exist_ok=True)
        with whole_file(OUTPUTS / check_artifact_name(name)) as path:
            yield path
        _print(f"wrote {OUTPUTS / name}")

    @contextmanager
    def checkpoint(self, step: int) -> Iterator[Path]:
        OUTPUTS.mkdir(exist_ok=True)
        target = OUTPUTS / f"step-{check_step(step)}.ckpt"
        with whole_file(target) as path:
            yield path
        _print(f"wrote {target}")

    def latest_checkpoint(self) -> tuple[int, Path] | None:
        return None

    def result(self, values: Mapping[str, Any]) -> None:
        _print("result: " + ", ".join(f"{name} {value}" for name, value in values.items()))

    def _print_now_and_then(self, kind: str, line: str) -> None:
        now = time.monotonic()
        if now - self._printed_at.get(kind, -PRINT_INTERVAL_SECONDS) >= PRINT_INTERVAL_SECONDS:
            self._printed_at[kind] = now
            _print(line)


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - that is what it is for
