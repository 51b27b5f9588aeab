"""The files of a folder that make a program. What is too much is found out by their sizes, before any is read."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from pathspec import GitIgnoreSpec

from gpulab.program_files import Program, ProgramFilesError, ProgramLimits, program, too_large

IGNORE_FILE = ".gpulabignore"
LEFT_OUT = (".git", ".venv", "__pycache__", ".ipynb_checkpoints")
"""Never part of a program, whatever the ignore file says."""
MAX_LOOKED_AT = 100_000
HINT = f"list files to leave out in {IGNORE_FILE}, in the syntax of .gitignore"


def read_folder(folder: Path, limits: ProgramLimits) -> Program:
    """The program in a folder. Raises `ProgramFilesError`, which names the largest files where they are too many."""
    ignored = _ignored(folder)
    sizes: dict[str, int] = {}
    for path, size in _files(folder, ignored):
        sizes[path] = size
        if len(sizes) > MAX_LOOKED_AT:
            break
    if sum(sizes.values()) > limits.max_bytes:
        raise ProgramFilesError(f"{too_large(limits, sizes)}; {HINT}")
    if len(sizes) > limits.max_files:
        raise ProgramFilesError(
            f"{folder} has more than {limits.max_files} files, most of them in {_fullest(sizes)}; {HINT}"
        )
    return program(((path, (folder / path).read_bytes()) for path in sizes), limits)


def read_file(path: Path, limits: ProgramLimits) -> Program:
    """The program that is one file."""
    if (size := path.stat().st_size) > limits.max_bytes:
        raise too_large(limits, {path.name: size})
    return program([(path.name, path.read_bytes())], limits)


def _ignored(folder: Path) -> GitIgnoreSpec:
    try:
        lines = (folder / IGNORE_FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        lines = []
    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError as error:
        raise ProgramFilesError(f"{folder / IGNORE_FILE} cannot be read: {error}") from None


def _files(folder: Path, ignored: GitIgnoreSpec) -> Iterator[tuple[str, int]]:
    """Path and size of each. What lies in an ignored folder cannot be brought back, as for Git."""
    for place, folders, files in os.walk(folder):
        below = Path(place).relative_to(folder)
        folders[:] = sorted(
            name for name in folders if name not in LEFT_OUT and not ignored.match_file(f"{(below / name).as_posix()}/")
        )
        for name in sorted([*files, *(name for name in folders if (folder / below / name).is_symlink())]):
            path = (below / name).as_posix()
            if name not in LEFT_OUT and path != IGNORE_FILE and not ignored.match_file(path):
                yield path, _size(folder / path, path)


def _size(file: Path, path: str) -> int:
    found = file.lstat()
    if not stat.S_ISREG(found.st_mode):
        kind = "a link" if stat.S_ISLNK(found.st_mode) else "not a plain file"
        raise ProgramFilesError(f"{path!r} is {kind}; a program has only files and folders. Or {HINT}", path=path)
    return found.st_size


def _fullest(sizes: dict[str, int]) -> str:
    counts: dict[str, int] = {}
    for path in sizes:
        first, slash, _ = path.partition("/")
        counts[f"{first}/" if slash else "."] = counts.get(f"{first}/" if slash else ".", 0) + 1
    name, count = max(counts.items(), key=lambda item: item[1])
    return f"{name} ({count} files)"
