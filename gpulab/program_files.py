"""A program: a set of files that never changes, named by the SHA-256 of its content.

The name is that of the files alone. The archive they came in, their order, times and modes have no part in it, so the
client can work it out before it sends anything.
"""

import hashlib
import io
import math
import tarfile
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from gpulab import names

DEFAULT_MAX_BYTES = 10_000_000
DEFAULT_MAX_FILES = 500
MAX_PATH_BYTES = 1000
MAX_PART_BYTES = 255
"""What file systems take."""
MAX_PARTS = 32
MAX_NAMED_FILES = 5


class ProgramFilesError(ValueError):
    """These files are no program; the message names the file and what is wrong."""

    def __init__(self, message: str, *, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path


@dataclass(frozen=True, slots=True)
class ProgramLimits:
    max_bytes: int = DEFAULT_MAX_BYTES
    """Of all files together."""
    max_files: int = DEFAULT_MAX_FILES


@dataclass(frozen=True, slots=True)
class ProgramFile:
    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Program:
    """Files by their path, sorted. Made by `program`, which checks them."""

    contents: Mapping[str, bytes]

    @cached_property
    def files(self) -> tuple[ProgramFile, ...]:
        return tuple(
            ProgramFile(path, len(data), hashlib.sha256(data).hexdigest()) for path, data in self.contents.items()
        )

    @cached_property
    def sha256(self) -> str:
        return identity(self.files)

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


def program(files: Iterable[tuple[str, bytes]], limits: ProgramLimits) -> Program:
    """The program of these files. Raises `ProgramFilesError`."""
    collected = Collector(limits)
    for path, data in files:
        collected.add(path, data)
    return collected.program()


def identity(files: Iterable[ProgramFile]) -> str:
    """SHA-256 over `path NUL size NUL sha256 NUL` of every file, sorted by path."""
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda file: file.path):
        digest.update(f"{file.path}\0{file.size_bytes}\0{file.sha256}\0".encode())
    return digest.hexdigest()


def canonical_tar(given: Program) -> bytes:
    """The one archive in which a program is stored: regular files, mode 0644, no time, no owner."""
    return tar_with_offsets(given)[0]


def tar_with_offsets(given: Program) -> tuple[bytes, dict[str, int]]:
    """The archive, and where in it the content of each file begins."""
    buffer = io.BytesIO()
    offsets = {}
    with tarfile.TarFile(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, data in given.contents.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(data), 0o644
            archive.addfile(member, io.BytesIO(data))
            blocks = math.ceil(len(data) / tarfile.BLOCKSIZE)
            offsets[path] = buffer.tell() - blocks * tarfile.BLOCKSIZE
    return buffer.getvalue(), offsets


class Collector:
    """Takes files one by one, and refuses the first that is wrong or too much."""

    def __init__(self, limits: ProgramLimits) -> None:
        self.limits = limits
        self.room_bytes = limits.max_bytes
        self._contents: dict[str, bytes] = {}
        self._spellings: dict[str, str] = {}
        """The path by its form without case: two that differ only there are one file on many machines."""
        self._folders: dict[str, str] = {}

    def add(self, path: str, data: bytes) -> None:
        """Raises `ProgramFilesError`."""
        clean = checked_path(path)
        self._check_alone(clean)
        if len(self._contents) >= self.limits.max_files:
            raise ProgramFilesError(f"the program has more than {self.limits.max_files} files")
        self.check_room(clean, len(data))
        self.room_bytes -= len(data)
        self._contents[clean] = data

    def check_room(self, path: str, size_bytes: int) -> None:
        """Whether a further file of this size fits. Raises `ProgramFilesError`."""
        if size_bytes > self.room_bytes:
            sizes = {other: len(data) for other, data in self._contents.items()}
            raise too_large(self.limits, sizes | {path: size_bytes})

    def check_folder(self, path: str) -> None:
        """A folder is nothing by itself, but its name may be as wrong as a file's. Raises `ProgramFilesError`."""
        if path.strip("./") or ".." in path:
            checked_path(path.rstrip("/") if path.strip("/") else path)

    def program(self) -> Program:
        """Raises `ProgramFilesError` where nothing was added."""
        if not self._contents:
            raise ProgramFilesError("the program has no files")
        return Program(dict(sorted(self._contents.items())))

    def _check_alone(self, path: str) -> None:
        key = _same(path)
        if (other := self._spellings.get(key)) is not None:
            how = "twice" if other == path else f"and as {other!r}, which differs only in case or in its Unicode form"
            raise ProgramFilesError(f"{path!r} appears {how}", path=path)
        if (inside := self._folders.get(key)) is not None:
            raise ProgramFilesError(f"{path!r} is a file, and a folder in {inside!r}", path=path)
        folders = [_same(folder) for folder in _folders(path)]
        for folder in folders:
            if (file := self._spellings.get(folder)) is not None:
                raise ProgramFilesError(f"{file!r} is a file, and a folder in {path!r}", path=path)
        self._spellings[key] = path
        self._folders.update(dict.fromkeys(folders, path))


def checked_path(path: str) -> str:
    """The path in its one form: relative, below the program, composed (NFC). Raises `ProgramFilesError`."""
    if len(path.encode("utf-8", "surrogatepass")) > MAX_PATH_BYTES:
        raise ProgramFilesError(f"the path {path[:60]!r}… is longer than {MAX_PATH_BYTES} bytes", path=path[:60])
    if problem := _path_problem(path):
        raise ProgramFilesError(f"the path {path!r} {problem}", path=path)
    parts = [part for part in unicodedata.normalize("NFC", path).split("/") if part not in {"", "."}]
    for part in parts:
        if problem := _part_problem(part):
            raise ProgramFilesError(f"the path {path!r} {problem}", path=path)
    if not parts or len(parts) > MAX_PARTS:
        limit = f"has more than {MAX_PARTS} parts" if parts else "names no file"
        raise ProgramFilesError(f"the path {path!r} {limit}", path=path)
    return "/".join(parts)


def too_large(limits: ProgramLimits, sizes: Mapping[str, int]) -> ProgramFilesError:
    """The refusal for files that are too much together. It names the largest."""
    largest = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:MAX_NAMED_FILES]
    named = ", ".join(f"{path!r} ({size:,} bytes)" for path, size in largest)
    return ProgramFilesError(
        f"the program is larger than {limits.max_bytes:,} bytes; its largest files are {named}", path=largest[0][0]
    )


def _path_problem(path: str) -> str | None:
    if "\0" in path:
        return "contains a NUL"
    if "\\" in path:
        return "contains a backslash; separate folders with /"
    if path.startswith("/") or (path[1:2] == ":" and path[:1].isalpha()):
        return "is absolute; paths are relative to the program"
    if path.endswith("/"):
        return "ends with /, so it names a folder"
    if any("\ud800" <= character <= "\udfff" for character in path):
        return "is not UTF-8"
    return None


def _part_problem(part: str) -> str | None:
    if part == "..":
        return "leaves the program's folder with .."
    if len(part.encode()) > MAX_PART_BYTES:
        return f"has a name longer than {MAX_PART_BYTES} bytes"
    try:
        names.checked(part)
    except ValueError as error:
        return f"is refused: {error}"
    return None


def _same(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def _folders(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]
