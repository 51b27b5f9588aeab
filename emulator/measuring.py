"""Measures any program: its first training steps in a separate process, on an emulated card.

The program runs with the rights of its caller: this is not a sandbox. Values on an emulated card are zeros, so a
program that reads some is run once more with ones, and nothing is predicted where its memory differs.
"""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import rmtree
from typing import IO, Any

from emulator.build import build
from emulator.cards import Card
from emulator.cards import card as card_named
from emulator.folders import new_folder
from emulator.loading import CARDS_VARIABLE, environment, refuse_beside_a_driver
from emulator.measurement import Environment, Measurement, Outcome, OutOfMemory, StepMemory
from emulator.world import VARIABLE, EmulatedGpu, World, emulated, with_room

WITNESS = Path(__file__).with_name("witness.py")
DEFAULT_STEPS = 2
"""An optimizer allocates its state in the first step, so that only the second has it from the start."""
DEFAULT_LIMIT_SECONDS = 60.0
MAX_OUTPUT_BYTES, MAX_NOTE_BYTES = 16_384, 256
MIN_AGAIN_SECONDS = 10.0
NOTES = re.compile(rb"^gpulab: (.{1,200})\n", re.MULTILINE)
"""What the emulated GPU writes to stderr: what it does not have, and what it takes for granted."""
REFUSED = "the emulated GPU does not have"
SEVERAL_THREADS = "the program trains in several threads"
NO_PEAK = "nothing was allocated"


@dataclass(frozen=True, slots=True)
class _Run:
    report: dict[str, Any]
    code: int | None
    """None if time ran out."""
    output: str
    notes: tuple[str, ...]
    seconds: float


def measure(
    program: str | Path | Sequence[str],
    card: str,
    steps: int = DEFAULT_STEPS,
    *,
    limit_seconds: float = DEFAULT_LIMIT_SECONDS,
    room_bytes: int | None = None,
    refuses_beside_a_driver: bool = True,
) -> Measurement:
    """What the first `steps` optimizer steps of a program take on a card such as `T4`.

    `program` is a script, or a list: a script and its arguments, or `-m`, a module and its arguments. It may run
    twice within `limit_seconds`. With `room_bytes` its tensors can take that much, whatever the card has. In a sandbox
    that has no GPU the libraries of a driver may lie about; then `refuses_beside_a_driver` is False. Raises
    `ValueError` for a card that isn't known or for no step, and `BuildError` or `RefusedError` where nothing can be
    emulated.
    """
    wanted = card_named(card)
    gpu = emulated(wanted, 0) if room_bytes is None else with_room(wanted, room_bytes)
    command = [str(program)] if isinstance(program, str | Path) else [str(part) for part in program]
    if steps < 1 or not command or command == ["-m"]:
        raise ValueError("measure needs a program and at least 1 optimizer step")
    if refuses_beside_a_driver:
        refuse_beside_a_driver()
    build()
    first = _run(command, gpu, steps, "zeros", limit_seconds)
    found = _judged(first, wanted, steps, limit_seconds)
    has_failed = found.outcome is Outcome.NOT_PREDICTED and first.report["ended"] == "error"
    if not first.report["reads"] or not (has_failed or found.outcome is Outcome.FITS):
        return found
    left = min(limit_seconds - first.seconds, max(MIN_AGAIN_SECONDS, 3 * first.seconds))
    again = _run(command, gpu, steps, "ones", max(left, 1.0))
    other = _judged(again, wanted, steps, left)
    if has_failed:
        return _without_zeros(found, other, first.report["reads"])
    return _compared(found, other, first.report["steps"] == again.report["steps"], first.report["reads"])


def _run(command: Sequence[str], gpu: EmulatedGpu, steps: int, values: str, limit_seconds: float) -> _Run:
    started = time.monotonic()
    with _own_folder() as folder:
        report = folder / "report.json"
        process = _start([str(report), str(steps), values, *command], _environment(folder, gpu))
        tail = _Tail(process.stdout)
        try:
            code: int | None = process.wait(limit_seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _kill(process)
        return _Run(_read(report), code, tail.text(), tail.notes(), time.monotonic() - started)


def _start(arguments: Sequence[str], env: dict[str, str]) -> "subprocess.Popen[bytes]":
    """The witness, as the leader of a session."""
    return subprocess.Popen(
        [sys.executable, str(WITNESS), *arguments],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


@contextmanager
def _own_folder() -> Iterator[Path]:
    folder = new_folder()
    try:
        yield folder
    finally:
        rmtree(folder, ignore_errors=True)


def _environment(folder: Path, gpu: EmulatedGpu) -> dict[str, str]:
    world = World(folder / "world.txt")
    world.write(gpu)
    temporary = folder / "tmp"
    temporary.mkdir()
    ours = {"TMPDIR": str(temporary), "PYTHONUNBUFFERED": "1", **environment(world)}
    if gpu.card is not None:
        ours[CARDS_VARIABLE] = gpu.card.name
    others = {name: value for name, value in os.environ.items() if name not in {"CUDA_VISIBLE_DEVICES", VARIABLE}}
    return {**others, **ours}


def _kill(process: subprocess.Popen[bytes]) -> None:
    """With everything it has started: it is the leader of their group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class _Tail:
    """The end of a stream, read as it is written: a program that prints without end fills no memory."""

    def __init__(self, stream: IO[bytes] | None) -> None:
        self.end = b""
        self._notes: dict[bytes, None] = {}
        self.thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self.thread.start()

    def text(self) -> str:
        self.thread.join(2)
        return self.end.decode(errors="replace")

    def notes(self) -> tuple[str, ...]:
        return tuple(note.decode(errors="replace") for note in self._notes)

    def _read(self, stream: IO[bytes] | None) -> None:
        if stream is None:
            return
        with stream:
            while part := os.read(stream.fileno(), 1 << 16):
                since = max(0, len(self.end) - MAX_NOTE_BYTES)
                seen = self.end + part
                self._notes |= dict.fromkeys(NOTES.findall(seen, since))
                self.end = seen[-MAX_OUTPUT_BYTES:]


def _read(report: Path) -> dict[str, Any]:
    nothing: dict[str, Any] = {
        "ended": None, "reason": None, "steps": [], "rounds": 0, "idle": [], "last": None, "out_of_memory": None,
        "on_gpu": False, "used_gpu": False, "reads": [], "tries_plans": False, "torch": None, "python": None,
    }  # fmt: skip
    with suppress(FileNotFoundError):
        nothing |= json.loads(report.read_text())
    return nothing


def _judged(run: _Run, card: Card, steps: int, limit_seconds: float) -> Measurement:
    report = run.report
    outcome, reason = _outcome(run, steps, limit_seconds)
    peaks = [*report["steps"], *([report["last"]] if outcome is Outcome.OUT_OF_MEMORY and report["last"] else [])]
    if outcome is Outcome.NOT_PREDICTED:
        peaks = []
    highest = max(peaks, key=lambda peak: peak["allocated"], default=None)
    return Measurement(
        outcome=outcome,
        reason=reason,
        environment=Environment(card.name, card.usable_bytes, report["python"], report["torch"]),
        steps=tuple(
            StepMemory(step["optimizer"], step["allocated"], step["reserved"], step["phase"])
            for step in report["steps"]
        ),
        peak_allocated_bytes=highest and highest["allocated"],
        peak_reserved_bytes=max((peak["reserved"] for peak in peaks), default=None),
        peak_phase=highest and highest["phase"],
        peak_phase_reason=_no_phase(highest, reason),
        out_of_memory=OutOfMemory(**report["out_of_memory"]) if report["out_of_memory"] else None,
        assumptions=tuple(_assumptions(run, outcome)),
        output=run.output,
        seconds=run.seconds,
    )


def _outcome(run: _Run, steps: int, limit_seconds: float) -> tuple[Outcome, str | None]:
    report = run.report
    memory, seen = report["out_of_memory"], len(report["steps"])
    reached = report["rounds"] >= steps and (report["ended"] == "steps" or run.code == 0)
    if run.code is None:
        return Outcome.NOT_PREDICTED, f"{seen} of {steps} optimizer steps were taken within {limit_seconds:.0f} s"
    if report["ended"] is None:
        return Outcome.NOT_PREDICTED, f"{_death(run.code)} after {seen} of {steps} optimizer steps"
    if memory and (memory["message"] or (report["ended"] != "error" and not report["on_gpu"])):
        return Outcome.OUT_OF_MEMORY, memory["message"] or "the program caught the error and took no step after it"
    if report["ended"] in {"error", "data"}:
        refused = [note for note in run.notes if note.startswith(REFUSED)]
        return Outcome.NOT_PREDICTED, "; ".join([report["reason"], *refused[-1:]])
    if not report["used_gpu"]:
        return Outcome.NOT_PREDICTED, "the program never used the GPU"
    if reached:
        return Outcome.FITS, None
    if not seen:
        return Outcome.NOT_PREDICTED, "the program took no optimizer step (steps in other processes are not seen)"
    return Outcome.NOT_PREDICTED, f"{_death(run.code)} after {seen} of {steps} optimizer steps"


def _death(code: int) -> str:
    return f"the program ended with {f'signal {-code}' if code < 0 else f'exit code {code}'}"


def _no_phase(highest: dict[str, Any] | None, reason: str | None) -> str | None:
    if highest is None:
        return reason
    if highest["phase"]:
        return None
    return SEVERAL_THREADS if highest["allocated"] else NO_PEAK


def _assumptions(run: _Run, outcome: Outcome) -> Iterator[str]:
    report = run.report
    if outcome is not Outcome.NOT_PREDICTED:
        yield from (note for note in run.notes if not note.startswith(REFUSED))
    if outcome is not Outcome.FITS:
        return
    if report["idle"]:
        yield f"optimizers with fewer steps do not raise the peak: {', '.join(report['idle'])}"
    if report["out_of_memory"]:
        yield "an out-of-memory error that the program caught also happens on a real card"
    if report["tries_plans"]:
        yield "the plans that cudnn.benchmark chooses on a real card need no more workspace than the first ones"


def _without_zeros(zeros: Measurement, ones: Measurement, reads: Sequence[str]) -> Measurement:
    """A check of values may refuse zeros, as distributions do. The run with ones is the prediction, if it can run."""
    seconds = zeros.seconds + ones.seconds
    if ones.outcome is Outcome.NOT_PREDICTED:
        return replace(zeros, seconds=seconds)
    why = f"the values read at {', '.join(reads)} do not change the memory; with zeros: {zeros.reason}"
    return replace(ones, assumptions=(*ones.assumptions, why), seconds=seconds)


def _compared(zeros: Measurement, ones: Measurement, alike: bool, reads: Sequence[str]) -> Measurement:
    """A prediction stands if the program allocates the same with other values, or cannot run with them."""
    places = ", ".join(reads)
    if ones.outcome is Outcome.NOT_PREDICTED:
        why = f"the values read at {places} do not change the memory; with ones: {ones.reason}"
        return replace(zeros, assumptions=(*zeros.assumptions, why), seconds=zeros.seconds + ones.seconds)
    if ones.outcome is Outcome.FITS and alike:
        why = f"the values read at {places} do not change the memory with zeros and ones"
        return replace(zeros, assumptions=(*zeros.assumptions, why), seconds=zeros.seconds + ones.seconds)
    reason = f"the memory depends on values read at {places}"
    return replace(
        zeros,
        outcome=Outcome.NOT_PREDICTED,
        reason=reason,
        peak_allocated_bytes=None,
        peak_reserved_bytes=None,
        peak_phase=None,
        peak_phase_reason=reason,
        assumptions=(),
        seconds=zeros.seconds + ones.seconds,
    )
