"""Files that a program leaves below `outputs/` become artifacts."""

import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from experiments.hosting.run_directory import RunDirectory
from experiments.program_host.collecting.tensorboard import file_name

FOLDER = "outputs"
MAX_FILES = 500
MAX_NAME_CHARACTERS = 128
LINKS = f"links below {FOLDER}/ are not kept, only plain files"


@dataclass(frozen=True, slots=True)
class _State:
    """By which a change of a file is seen."""

    size_bytes: int
    changed_ns: int


class Outputs:
    """Call `turn` now and then, and `finish` when the program has ended."""

    def __init__(self, run: RunDirectory, folder: Path) -> None:
        self._run = run
        self._folder = folder / FOLDER
        self._seen: dict[Path, _State] = {}
        self._kept: dict[Path, _State] = {}
        self._names: dict[str, Path] = {}
        self._warned: set[str] = set()

    def turn(self) -> None:
        """Keep the files that did not change since the turn before: they are complete, most likely."""
        found = self._look()
        for path, state in found.items():
            if self._seen.get(path) == state and self._kept.get(path) != state:
                self._keep(path, state)
        self._seen = found

    def finish(self) -> None:
        """Keep everything."""
        for path, state in self._look().items():
            if self._kept.get(path) != state:
                self._keep(path, state)

    def _look(self) -> dict[Path, _State]:
        found: dict[Path, _State] = {}
        if self._folder.is_symlink():
            self._warn(f"{FOLDER} is a link; files behind it are not kept")
            return found
        for root, folders, names in os.walk(self._folder):
            if any(Path(root, each).is_symlink() for each in folders):
                self._warn(LINKS)
            for name in sorted(names):
                path = Path(root, name)
                try:
                    status = path.lstat()
                except OSError:
                    continue  # it is gone
                if stat.S_ISLNK(status.st_mode):
                    self._warn(LINKS)
                if not stat.S_ISREG(status.st_mode):
                    continue
                if len(found) >= MAX_FILES:
                    self._warn(f"{FOLDER}/ has more than {MAX_FILES} files; the others are not kept")
                    return found
                found[path] = _State(status.st_size, status.st_mtime_ns)
        return found

    def _keep(self, path: Path, state: _State) -> None:
        try:
            file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            if isinstance(error, PermissionError):
                self._warn(f"a file below {FOLDER}/ is not kept, because its permissions forbid reading it")
            return  # or it is gone
        with os.fdopen(file, "rb") as source, self._run.artifact(self._name(path)) as target, target.open("wb") as copy:
            shutil.copyfileobj(source, copy)
        self._kept[path] = state

    def _name(self, path: Path) -> str:
        """`plots/loss.png` becomes `plots-loss.png`, and another file that would be called so gets a number."""
        relative = path.relative_to(self._folder)
        stem, ending = (
            file_name(str(relative.with_suffix(""))),
            "".join(c for c in path.suffix if c.isalnum() or c == "."),
        )
        ending = ending[:20] if ending.isascii() else ""
        stem = stem[: MAX_NAME_CHARACTERS - 30]
        candidates = [f"{stem}{ending}", *(f"{stem}-{number}{ending}" for number in range(2, MAX_FILES + 2))]
        for name in candidates:
            if self._names.setdefault(name, path) == path:
                return name
        raise AssertionError("there are more names than files")

    def _warn(self, words: str) -> None:
        if words not in self._warned:
            self._warned.add(words)
            self._run.record("warning", message=words)
