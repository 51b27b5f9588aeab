"""Which data sets a node has. Cheap, and no torch: the worker asks it with every heartbeat.

A data set is `digits` (ships with scikit-learn), torchvision's CIFAR-10 batches, or an image folder that an
administrator put into the data-set folder: `<name>/train/<class>/*.jpg` and `<name>/test/<class>/*.jpg` (`val` serves
for `test`).
"""

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
    """Where the pictures of a data set lie, one sub-folder a class."""

    train: Path
    test: Path


def available_datasets(folder: Path) -> tuple[str, ...]:
    """Names of the data sets that a node with this data-set folder can read, sorted; the folder may be missing."""
    found = {"digits"} if find_spec("sklearn") else set()
    if has_cifar10_batches(folder):
        found.add("cifar10")
    found.update(name for name in _sub_folders(folder) if find_image_folder(folder, name))
    return tuple(sorted(found))


def has_cifar10_batches(folder: Path) -> bool:
    """Whether torchvision's CIFAR-10 batches are there, by their index file; reading checks every digest."""
    return (folder / CIFAR10_BATCHES / "batches.meta").is_file()


def find_image_folder(folder: Path, name: str) -> ImageFolder | None:
    """The image folder of that name, or None where there is none or its name is not a safe one."""
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


def _has_a_picture(split: Path) -> bool:
    return any(is_picture(entry) for name in _sub_folders(split) for entry in _entries(split / name))


def is_picture(entry: os.DirEntry[str]) -> bool:
    """Whether a directory entry looks like a picture that the loader reads."""
    return entry.name.lower().endswith(IMAGE_SUFFIXES) and not entry.name.startswith(".")


def _sub_folders(folder: Path) -> list[str]:
    return sorted(entry.name for entry in _entries(folder) if not entry.name.startswith(".") and entry.is_dir())


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
