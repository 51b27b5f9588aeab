"""What the records of a student's program may say, and how much of it. The program can write any line by itself.

Only the lab says what was predicted, what was used, and that a machine failed.
"""

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from experiments.hosting.record_reader import Distrust
from experiments.hosting.wire import (
    MAX_INTEGER,
    CheckpointFile,
    Disturbed,
    Ending,
    Failed,
    File,
    Memory,
    Metric,
    Phase,
    Predicted,
    Record,
    Started,
    Succeeded,
    Warned,
)
from gpulab.run.values import check_result
from gpulab.states import FailureCause

MAX_RECORD_BYTES = 2**20
MAX_FILES = 1000
MAX_METRICS = 500
MAX_PHASES = 10_000
MAX_WARNINGS = 20
MAX_LEVELS = 16
"""Names of levels in all readings together."""
MAX_NAME_CHARACTERS = 100
MAX_MESSAGE_CHARACTERS = 2000
MAX_BROKEN = 1000
"""Lines that count for nothing; after them, no line does."""
MAX_VERSIONS = 100
CHECKPOINT = ""
"""Of all checkpoints together: no file has this name."""
OWN_CAUSES = frozenset({FailureCause.ERROR, FailureCause.OUT_OF_MEMORY, FailureCause.DIVERGED, FailureCause.CANNOT_FIT})

LAB_ONLY: dict[str, Any] = {
    "ended_by": "allocator",
    "process_used_bytes": None,
    "predicted_peak_bytes": None,
    "edits": [],
}
"""Of an explanation of a failure, what no program knows or decides."""
NOT_FROM_THE_PROGRAM = dict.fromkeys(("predicted_peak_bytes", "edits"), "only the lab says this, and no program")

CLAIMED = (
    "phase",
    "module",
    "requested_bytes",
    "allocated_bytes",
    "reserved_bytes",
    "fragmentation_bytes",
    "device_used_bytes",
    "device_total_bytes",
    "limit_bytes",
    "inside_reservation",
    "largest_tensors",
    "snapshot",
)
"""What a program can say of its failure."""
CLAIMED_OF_BREACH = ("phase", "allocated_bytes", "reserved_bytes", "fragmentation_bytes")
"""The same of a run that the watchdog ended: all else is the lab's reading."""

T = TypeVar("T")


def distrust(max_bytes: int, max_files_bytes: int = 0) -> Distrust[Record]:
    """How the records of one attempt are read. `max_files_bytes`: of all its files together. 0 is no limit."""
    return Distrust(ProgramRecords(max_files_bytes or MAX_INTEGER).refuse, max_bytes or MAX_INTEGER, MAX_BROKEN)


class ProgramRecords:
    """Judges the lines of one attempt. The same line may come again and counts once."""

    def __init__(self, max_files_bytes: int) -> None:
        self._max_files_bytes = max_files_bytes
        self._files: dict[str, int] = {}
        """Sizes by name; a checkpoint replaces the one before."""
        self._files_bytes = 0
        self._metrics: set[str] = set()
        self._levels: set[str] = set()
        self._phases: set[int] = set()
        self._warnings: set[int] = set()

    def refuse(self, record: Record, offset: int, size_bytes: int) -> str | None:
        """Why a line counts for nothing; None where it is kept."""
        if size_bytes > MAX_RECORD_BYTES:
            return f"a record of a program may have {MAX_RECORD_BYTES} bytes"
        return self._of_the_lab(record) or self._too_many(record, offset)

    def _of_the_lab(self, record: Record) -> str | None:
        match record:
            case Predicted() | Disturbed():
                return "only the lab can report this, not a program"
            case Failed() if record.cause not in OWN_CAUSES:
                return f"only the lab can report the cause {record.cause}"
        return None

    def _too_many(self, record: Record, offset: int) -> str | None:
        match record:
            case File():
                return self._too_many_files(record.name, record.size_bytes)
            case CheckpointFile():
                return self._too_many_files(CHECKPOINT, record.size_bytes)
            case Metric():
                return _added(self._metrics, set(record.values), MAX_METRICS, "metrics")
            case Phase():
                return _added(self._phases, {offset}, MAX_PHASES, "phases")
            case Warned():
                return _added(self._warnings, {offset}, MAX_WARNINGS, "warnings")
            case Memory():
                names = set(record.levels())
                return _too_long(names) or _added(self._levels, names, MAX_LEVELS, "levels of memory")
            case Started() if len(record.versions) > MAX_VERSIONS:
                return f"a program may report {MAX_VERSIONS} versions"
            case Started():
                return _too_long({record.device, *record.versions, *record.versions.values()})
        return None

    def _too_many_files(self, name: str, size_bytes: int) -> str | None:
        """A file that takes no room on the disk, such as one full of holes, would take it in the store."""
        if name not in self._files and len(self._files) >= MAX_FILES:
            return f"a program may have {MAX_FILES} files"
        together = self._files_bytes - self._files.get(name, 0) + size_bytes
        if together > self._max_files_bytes:
            return f"the files of a program may take {self._max_files_bytes} bytes together"
        self._files[name], self._files_bytes = size_bytes, together
        return None


def _added(known: set[T], more: set[T], limit: int, what: str) -> str | None:
    if len(known | more) > limit:
        return f"a program may have {limit} {what}"
    known |= more
    return None


def _too_long(words: set[str]) -> str | None:
    if any(len(word) > MAX_NAME_CHARACTERS for word in words):
        return f"a name or version may have {MAX_NAME_CHARACTERS} characters"
    return None


def own_ending(ending: Ending | None) -> Ending | None:
    """What a program says of its end, without what only the lab knows, and with all figures marked as its own."""
    match ending:
        case Succeeded():
            return _own_result(ending)
        case Failed():
            return _own_failure(ending)
    return ending


def _own_result(said: Succeeded) -> Ending:
    """The host checks a result; a program that writes the record by itself does not."""
    try:
        check_result(said.value)
    except (TypeError, ValueError) as error:
        return Failed(type="error", message=f"its result is refused: {error}"[:MAX_MESSAGE_CHARACTERS])
    return said


def _own_failure(said: Failed) -> Failed:
    message = said.message[:MAX_MESSAGE_CHARACTERS]
    if said.failure is None:
        return said.model_copy(update={"message": message})
    failure = said.failure | LAB_ONLY
    failure["reasons"] = failure["reasons"] | NOT_FROM_THE_PROGRAM
    return said.model_copy(update={"message": message, "failure": failure | {"claimed_by_program": claimed(failure)}})


def claimed(failure: Mapping[str, Any], fields: Collection[str] = CLAIMED) -> list[str]:
    """Which of these fields a program filled in."""
    return [name for name in fields if failure[name] not in (None, [])]
