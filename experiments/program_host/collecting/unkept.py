"""Says which files of a program go away with its run: those that it wrote somewhere else than below `outputs/`."""

import os
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from experiments.hosting.run_directory import RunDirectory
from experiments.program_host.collecting.outputs import FOLDER
from gpulab.run.files import ARTIFACTS_FOLDER, RECORDS_FILE

MAX_LOOKED_AT = 5000
MAX_NAMED = 5
MAX_NAME_CHARACTERS = 100
PASSING = ("__pycache__", "wandb")
EVENTS = "events.out.tfevents"


class UnkeptFiles:
    """Call `finish` when the program has ended."""

    def __init__(self, run: RunDirectory, work: Path, start: Path) -> None:
        """`start`: the folder in which the program starts."""
        self._run = run
        self._work = work
        self._outputs = start / FOLDER
        self._began_ns = (run.folder / RECORDS_FILE).stat().st_mtime_ns
        """By the clock of the files; those that were sent are older."""

    def turn(self) -> None:
        """There is nothing to do while it runs."""

    def finish(self) -> None:
        found = sorted(islice(self._written(), MAX_LOOKED_AT), reverse=True)
        if found:
            names = ", ".join(printable(name) for _, name in found[:MAX_NAMED])
            more = f" and {len(found) - MAX_NAMED} more" if len(found) > MAX_NAMED else ""
            self._run.record("warning", message=f"not kept, because only files below {FOLDER}/ are: {names}{more}")

    def _written(self) -> Iterator[tuple[int, str]]:
        """Size and path of each."""
        kept = {each.name for each in (self._run.folder / ARTIFACTS_FOLDER).glob("*")}
        for path, status in islice(self._files(), MAX_LOOKED_AT):
            if status.st_mtime_ns > self._began_ns and path.name not in kept:
                yield status.st_size, str(path.relative_to(self._work))

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        for root, folders, names in os.walk(self._work):
            folders[:] = [each for each in folders if self._is_the_programs(Path(root, each))]
            for name in names:
                if name.startswith((".", EVENTS)):
                    continue
                try:
                    status = Path(root, name).lstat()
                except OSError:
                    continue  # it is gone
                if stat.S_ISREG(status.st_mode):
                    yield Path(root, name), status

    def _is_the_programs(self, folder: Path) -> bool:
        return not folder.name.startswith(".") and folder.name not in PASSING and folder != self._outputs


def printable(name: str) -> str:
    """A file's name in one line."""
    shown = name if name.isprintable() else name.encode("unicode_escape", "backslashreplace").decode()
    return shown if len(shown) <= MAX_NAME_CHARACTERS else f"…{shown[-MAX_NAME_CHARACTERS:]}"
