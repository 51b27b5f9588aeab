"""Files on the user's machine: names that it can hold, and errors that say which file they are about."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gpulab.errors import GpulabError

WINDOWS_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
)
IGNORING_CASE = ("win32", "darwin")


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Writing to a full disk raises an OSError without a file's name. This adds it."""
    try:
        yield
    except GpulabError:
        # Some of them are OSErrors too, and speak for themselves.
        raise
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def local_name(name: str, others: Iterable[str], platform: str = sys.platform) -> str:
    """The name, changed where this system cannot hold it beside `others`.

    Windows keeps some names for devices; Windows and macOS take names that differ in case alone for one.
    """
    stem, dot, rest = name.partition(".")
    if platform == "win32" and stem.casefold() in WINDOWS_DEVICES:
        name = f"{stem}_{dot}{rest}"
    if platform == "win32" and name.endswith("."):
        name += "_"
    earlier = sorted(other for other in set(others) if other.casefold() == name.casefold() and other < name)
    if platform in IGNORING_CASE and earlier:
        stem, dot, rest = name.partition(".")
        name = f"{stem}-{len(earlier) + 1}{dot}{rest}"
    return name
