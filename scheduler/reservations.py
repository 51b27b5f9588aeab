"""What a job that does not say is given of a GPU's memory: its predicted peak and a margin that the lab has learned."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from gpulab.schemas.memory import Verdict
from gpulab.states import WaitReason
from models.composed import run
from models.margin import margin
from models.settings import SchedulerSettings
from models.statements.memory import estimates, peaks
from models.tables.estimate import FAILED, PROGRAM, READY
from scheduler.planning.room import GpuRoom, NodeRoom
from scheduler.planning.terms import Wait

ESTIMATING = Wait(WaitReason.ESTIMATING, "its GPU memory is being predicted; this takes seconds once a worker is ready")
DISPROVED = "a run of this program ran out of memory with the predicted reservation"
MIN_PROGRAM_MARGIN = 0.15
"""Of a program's predicted peak: what comes after its first steps, such as a validation, was not seen."""
LEARNED_SECONDS = 30.0
"""Interval of reading the margins again."""
GIB = 2**30
Excesses = Mapping[tuple[str, str], tuple[int, float]]
"""By family and GPU model: runs, and the quantile of their excess."""


@dataclass(slots=True)
class SortedOut:
    """The queue by what its predictions say."""

    rows: list[Any] = field(default_factory=list)
    """Those to place."""
    reserved: dict[UUID, int] = field(default_factory=dict)
    """Bytes on each GPU for jobs that did not say themselves."""
    estimating: list[Any] = field(default_factory=list)
    refused: list[tuple[UUID, str]] = field(default_factory=list)
    unpredicted: dict[UUID, str] = field(default_factory=dict)
    """Why there is no prediction, of those that take a whole GPU for want of one."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What an answered question means for its jobs in this lab."""

    reserve_bytes: int | None
    refusal: str | None
    unpredicted: str | None = None
    """Why there is no prediction."""


class Reservations:
    """Keeps what was answered for the GPUs of the lab until it learns anew."""

    def __init__(self, settings: SchedulerSettings) -> None:
        self._wait_seconds = settings.estimate_wait_seconds
        self._excesses: Excesses = {}
        self._learned_at = -LEARNED_SECONDS
        self._known: dict[UUID, Outlook] = {}
        self._known_for: set[str] = set()
        self._programs: set[UUID] = set()
        """Of those looked at last, the estimates of students' programs."""

    def of(self, connection: Connection, rows: Sequence[Any], rooms: Iterable[NodeRoom], now: float) -> SortedOut:
        """`now` is Unix seconds by the clock of the database."""
        gpus = {gpu.key: gpu for room in rooms for gpu in room.gpus}
        asked = {row.estimate_id for row in rows if _is_open(row)} if gpus else set()
        if not asked:
            return SortedOut(list(rows))
        if self._learn(connection) or self._known_for != gpus.keys():
            self._known, self._known_for = {}, set(gpus)
        programs: set[UUID] = set()
        for program in self._programs:
            # A run may have shown meanwhile that it takes more.
            self._known.pop(program, None)
        for answer in run(connection, estimates.known, estimate_ids=list(asked - self._known.keys())):
            if answer.family == PROGRAM:
                programs.add(answer.id)
            if (found_now := self._outlook(connection, answer, gpus)) is not None:
                self._known[answer.id] = found_now
        self._programs = programs
        return self._sorted(connection, rows, now)

    def _sorted(self, connection: Connection, rows: Sequence[Any], now: float) -> SortedOut:
        found = SortedOut()
        unanswered: list[Any] = []
        for row in rows:
            outlook = self._known.get(row.estimate_id) if _is_open(row) else NO_OUTLOOK
            if outlook is None:
                unanswered.append(row)
            elif outlook.refusal is not None:
                found.refused.append((row.id, outlook.refusal))
            else:
                _place(row, outlook, found)
        if any(self._is_overdue(row, now) for row in unanswered):
            sign = run(connection, estimates.last_sign).scalar() or 0.0
            given_up = now - sign >= self._wait_seconds
        else:
            given_up = False
        for row in unanswered:
            is_overdue = self._is_overdue(row, now)
            if is_overdue and row.estimate_id in self._programs:
                # A program takes as long as it likes: no job waits longer for it, whatever the lab is at.
                words = f"its program was not measured within {self._wait_seconds:g} s"
                _place(row, Outlook(None, None, words), found)
            elif is_overdue and given_up:
                _place(row, Outlook(None, None, f"no worker started on it within {self._wait_seconds:g} s"), found)
            else:
                found.estimating.append(row)
        return found

    def _is_overdue(self, row: Any, now: float) -> bool:
        return bool(now - row.submitted_at.timestamp() >= self._wait_seconds)

    def _outlook(self, connection: Connection, row: Any, gpus: Mapping[str, GpuRoom]) -> Outlook | None:
        """Null while a worker is at it."""
        if row.disproved:
            return Outlook(None, None, DISPROVED)
        missing = {key: gpu for key, gpu in gpus.items() if key not in row.fits and gpu.total_bytes}
        if row.state == FAILED and (missing or row.peak_device_bytes is None):
            return Outlook(None, None, row.reason)
        if row.state == READY and missing:
            # A model that came to the lab after the question.
            wanted = {
                key: {"name": gpu.model, "total_bytes": gpu.total_bytes, "constants": gpu.constants}
                for key, gpu in missing.items()
            }
            run(connection, estimates.want, estimate_id=row.id, gpus=wanted)
        return None if missing else outlook(row.family, row.fits, gpus, self._excesses)

    def _learn(self, connection: Connection) -> bool:
        """Whether it was time to look again."""
        if time.monotonic() - self._learned_at < LEARNED_SECONDS:
            return False
        self._learned_at = time.monotonic()
        rows = run(connection, peaks.excesses)
        self._excesses = {(row.family, row.gpu): (row.runs, row.excess) for row in rows}
        return True


NO_OUTLOOK = Outlook(None, None)


def _place(row: Any, outlook: Outlook, found: SortedOut) -> None:
    found.rows.append(row)
    if row.exclusive:
        return
    if outlook.reserve_bytes is not None:
        found.reserved[row.id] = outlook.reserve_bytes
    elif outlook.unpredicted is not None:
        found.unpredicted[row.id] = outlook.unpredicted


def outlook(family: str, fits: Mapping[str, Any], gpus: Mapping[str, GpuRoom], excesses: Excesses) -> Outlook:
    """From the verdicts of all GPU models of the lab. A device that hides its memory is trusted to hold anything.

    A model for which nothing is predicted has no say.
    """
    sizes = {key: gpu.total_bytes for key, gpu in gpus.items()}
    if any(size is None for size in sizes.values()):
        return NO_OUTLOOK
    largest_key = max(sizes, key=lambda key: sizes[key] or 0)
    largest = sizes[largest_key] or 0
    if all(fits[key]["verdict"] != Verdict.FITS and fits[key]["certain"] for key in sizes):
        return Outlook(None, refusal(fits[largest_key], gpus[largest_key].model, largest))
    least = MIN_PROGRAM_MARGIN if family == PROGRAM else 0.0
    learned: dict[str, tuple[int, float | None]] = {
        key: excesses.get((family, gpu.model), (0, None)) for key, gpu in gpus.items()
    }
    needs = [
        reserve(fits[key]["peak_device_bytes"], *learned[key], least)
        for key in gpus
        if fits[key]["verdict"] != Verdict.NOT_PREDICTED
    ]
    if not needs:
        return Outlook(None, None, fits[largest_key]["reason"])
    return Outlook(min(max(needs), largest), None)


def reserve(peak: Mapping[str, int], runs: int, excess: float | None, min_margin: float = 0.0) -> int:
    """Bytes to reserve for a predicted peak of a device, given what was learned of runs like it."""
    prior = peak["high_bytes"] / peak["likely_bytes"] - 1
    return ceil(peak["likely_bytes"] * (1 + max(min_margin, margin(prior, runs, excess))))


def refusal(fit: Mapping[str, Any], model: str, total_bytes: int) -> str:
    """Why it cannot fit, in numbers, and what to change."""
    peak = fit["peak_device_bytes"]
    message = (
        f"it needs {_gib(peak['low_bytes'])} of GPU memory at least, likely {_gib(peak['likely_bytes'])}, and the "
        f"largest GPU of the lab, {model}, has {_gib(total_bytes)}"
    )
    helpful = [edit for edit in fit["edits"] if edit["fits"]]
    nearest = "; it would fit with " if helpful else "; closest is "
    edits = [_edit(edit) for edit in helpful or fit["edits"]]
    return message + (nearest + ", or ".join(edits) if edits else "")


def _edit(edit: Mapping[str, Any]) -> str:
    change = " and ".join(f"{name}={value}" for name, value in edit["change"].items())
    return f"{change} ({_gib(edit['peak_device_bytes']['likely_bytes'])})"


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / GIB:.1f} GiB"


def _is_open(row: Any) -> bool:
    """Whether a prediction has a say: the user did not, and a GPU may be involved."""
    return row.estimate_id is not None and row.gpu_memory_bytes is None and row.gpus != 0
