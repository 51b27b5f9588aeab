"""Which data sets a node has. Cheap, and no torch: the worker asks it with every heartbeat.

A data set is `digits` (ships with scikit-learn), torchvision's CIFAR-10 batches, or an image folder that an
administrator put into the data-set folder: `<name>/train/<class>/*.jpg` and `<name>/test/<class>/*.jpg` (`val` serves
for `test`). What cannot be read is skipped and named, with the reason.
"""

import errno
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from pydantic import Field

DATASET_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
DatasetName = Annotated[str, Field(pattern=DATASET_NAME_PATTERN)]

CIFAR10_BATCHES = "cifar-10-batches-py"
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
TEST_SPLITS = ("test", "val")
CLASS_NAMES = {
    "digits": tuple("0123456789"),
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
}
"""Classes of the data sets that are known beforehand; an image folder's classes are its sub-folders."""


@dataclass(frozen=True, slots=True)
class ImageFolder:
    """Where the images of a data set lie, one sub-folder a class."""

    train: Path
    test: Path


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a data-set folder holds."""

    datasets: tuple[str, ...]
    """Names, sorted."""
    skipped: dict[str, str]
    """What could not be read, and why."""


def available_datasets(folder: Path) -> tuple[str, ...]:
    """Names of the data sets that a node with this data-set folder can read, sorted; the folder may be missing."""
    return take_inventory(folder).datasets


def built_in_datasets() -> set[str]:
    """Those that need no folder."""
    return {"digits"} if find_spec("sklearn") else set()


def take_inventory(folder: Path) -> Inventory:
    """Look through a data-set folder. Nothing in it raises, whatever its owner or its file system does."""
    found, skipped = built_in_datasets(), {}
    try:
        names = sorted(entry.name for entry in _entries(folder) if not entry.name.startswith("."))
    except OSError as error:
        return Inventory(tuple(sorted(found)), {printable(str(folder)): reason_of(error)})
    for name in names:
        try:
            if has_cifar10_batches(folder) if name == CIFAR10_BATCHES else _is_readable_image_folder(folder, name):
                found.add("cifar10" if name == CIFAR10_BATCHES else name)
        except OSError as error:
            skipped[printable(name)] = reason_of(error)
    return Inventory(tuple(sorted(found)), skipped)


def reason_of(error: OSError) -> str:
    """An error of the file system in words: of what, where that is below what was looked at."""
    where = f" ({printable(Path(error.filename).name)})" if isinstance(error.filename, str) else ""
    return f"{error.strerror or error}{where}"


def printable(name: str) -> str:
    """A file's name as text that every program takes: bytes that are not UTF-8 are written as escapes."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def has_cifar10_batches(folder: Path) -> bool:
    """Whether torchvision's CIFAR-10 batches are there, by their index file; reading checks every digest."""
    return (folder / CIFAR10_BATCHES / "batches.meta").is_file()


def find_image_folder(folder: Path, name: str) -> ImageFolder | None:
    """The image folder of that name, or None where there is none or its name is not a safe one. Raises OSError."""
    if not re.fullmatch(DATASET_NAME_PATTERN, name):
        return None
    train = folder / name / "train"
    test = next((folder / name / split for split in TEST_SPLITS if (folder / name / split).is_dir()), None)
    if test is None or not _has_a_picture(train) or not _has_a_picture(test):
        return None
    return ImageFolder(train, test)


def class_names(folder: Path, name: str) -> tuple[str, ...]:
    """The classes of a data set in the order of their labels; empty where the node does not have it."""
    if name in CLASS_NAMES:
        return CLASS_NAMES[name]
    images = find_image_folder(folder, name)
    return tuple(_sub_folders(images.train)) if images else ()


def _is_readable_image_folder(folder: Path, name: str) -> bool:
    """Whether all of it can be read: one closed class would end every training on it."""
    entry = folder / name
    if entry.is_symlink():
        # Raises where the link leads nowhere or in a circle.
        entry.stat()
    _check_name(entry)
    images = find_image_folder(folder, name)
    if images is None:
        return False
    for split in (images.train, images.test):
        for label in _sub_folders(split):
            if not os.access(split / label, os.R_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(split / label))
    return True


def _check_name(entry: Path) -> None:
    """A folder that looks like a data set and has a name that no spec can give is worth a word."""
    if not re.fullmatch(DATASET_NAME_PATTERN, entry.name) and (entry / "train").is_dir():
        raise OSError(errno.EINVAL, f"its name does not match {DATASET_NAME_PATTERN}")


def _has_a_picture(split: Path) -> bool:
    return any(is_picture(entry) for name in _sub_folders(split) for entry in _entries(split / name))


def is_picture(entry: os.DirEntry[str]) -> bool:
    """Whether a directory entry looks like an image that the loader reads."""
    return entry.name.lower().endswith(IMAGE_SUFFIXES) and not entry.name.startswith(".")


def _sub_folders(folder: Path) -> list[str]:
    return sorted(entry.name for entry in _entries(folder) if not entry.name.startswith(".") and entry.is_dir())


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except (FileNotFoundError, NotADirectoryError):
        return
