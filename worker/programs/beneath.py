"""Opens and measures what a student's program left in its folders. It may have put anything there, at any moment."""

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISDIR, S_ISREG

OPENAT2 = 437
RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH = 0x02, 0x04, 0x08
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC
WITHOUT_OPENAT2 = frozenset({errno.ENOSYS, errno.EPERM})
"""An old kernel, or a container whose filter does not know the call."""
MAX_DEPTH = 64
_libc = ctypes.CDLL(None, use_errno=True)


class RefusedFileError(Exception):
    """The path is not a plain file of this run."""


class TooManyFilesError(Exception):
    """More entries, or deeper folders, than a run may have."""


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


@contextmanager
def plain_file(folder: Path, *parts: str) -> Iterator[int]:
    """A descriptor of a regular file with one name below `folder`. No link is followed on the way.

    Raises `RefusedFileError` for anything else, and `OSError` where nothing can be opened.
    """
    root = os.open(folder, FOLDER)
    try:
        file = _opened(root, parts)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.EXDEV, errno.ENXIO, errno.ENOTDIR, errno.EAGAIN}:
            raise RefusedFileError("a link, a locked file, or not a plain file") from error
        raise
    finally:
        os.close(root)
    try:
        found = os.fstat(file)
        if not S_ISREG(found.st_mode):
            raise RefusedFileError("not a plain file")
        if found.st_nlink > 1:
            raise RefusedFileError("a file with several names")
        yield file
    finally:
        os.close(file)


def _opened(root: int, parts: tuple[str, ...]) -> int:
    how = _How(FILE, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)
    file: int = _libc.syscall(OPENAT2, root, os.fsencode("/".join(parts)), ctypes.byref(how), ctypes.sizeof(how))
    if file >= 0:
        return file
    number = ctypes.get_errno()
    if number in WITHOUT_OPENAT2:
        return _walked(root, parts)
    raise OSError(number, os.strerror(number), "/".join(parts))


def _walked(root: int, parts: tuple[str, ...]) -> int:
    """The same, one folder at a time."""
    *folders, name = (part for path in parts for part in path.split("/"))
    if any(part in {"", ".", ".."} for part in (*folders, name)):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), name)
    at = os.dup(root)
    try:
        for folder in folders:
            below = os.open(folder, FOLDER, dir_fd=at)
            os.close(at)
            at = below
        return os.open(name, FILE, dir_fd=at)
    finally:
        os.close(at)


def disk_use(folder: Path, *, max_entries: int) -> int:
    """Bytes on the disk that everything below takes. Raises `TooManyFilesError`, and `OSError` for a folder that its
    owner closed.
    """
    return _Measure(max_entries).of(os.open(folder, FOLDER), 0)


class _Measure:
    def __init__(self, max_entries: int) -> None:
        self._left = max_entries
        self._seen: set[tuple[int, int]] = set()

    def of(self, folder: int, depth: int) -> int:
        """Closes `folder`. Goes by descriptors, since a path may grow longer than any call takes."""
        try:
            if depth > MAX_DEPTH:
                raise TooManyFilesError(f"folders more than {MAX_DEPTH} deep")
            with os.scandir(folder) as entries:
                return sum(self._entry(folder, entry, depth) for entry in entries)
        finally:
            os.close(folder)

    def _entry(self, folder: int, entry: "os.DirEntry[str]", depth: int) -> int:
        self._left -= 1
        if self._left < 0:
            raise TooManyFilesError("too many files")
        try:
            found = entry.stat(follow_symlinks=False)
            below = self.of(os.open(entry.name, FOLDER, dir_fd=folder), depth + 1) if S_ISDIR(found.st_mode) else 0
        except (FileNotFoundError, NotADirectoryError):
            return 0  # gone meanwhile
        name = found.st_dev, found.st_ino
        own = 0 if name in self._seen else found.st_blocks * 512
        if found.st_nlink > 1:
            self._seen.add(name)
        return own + below
