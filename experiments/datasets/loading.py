"""Data sets as uint8 tensors. Nothing is downloaded: a node has what its install or its administrator brings.

Shapes: N images, C channels (1 or 3), H x W pixels. What was read once is kept below the node's cache folder as plain
`.npy` files and mapped into memory, so that the runs of a node start at once and share the pages.
"""

import hashlib
import os
import resource
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from experiments.contract import Run, Stopped
from experiments.datasets.inventory import (
    CLASS_NAMES,
    ImageFolder,
    available_datasets,
    class_names,
    find_image_folder,
    has_cifar10_batches,
    is_picture,
)
from experiments.datasets.pictures import PictureUnreadable, read_square, shorter_side, shown_name
from experiments.hosting.wire import clean_text

MAX_PIXELS_BYTES = 16 * 2**30
DIGITS_TRAIN = 1437
CIFAR10_TRAIN = 50_000
DECODE_BATCH_SIZE = 512
DECODING = 2
"""Counts the ways in which images were decoded so far: what an earlier one kept is not used."""
MAX_NAMED = 5

Arrays = tuple[NDArray[np.uint8], NDArray[np.int64]]


class DatasetMissing(Exception):  # noqa: N818 - the name states the fact
    """The node does not have a data set, or has it in a state that cannot be read."""


@dataclass(frozen=True, slots=True)
class Images:
    """Images and their labels."""

    pixels: Tensor
    """uint8, N x C x H x W."""
    labels: Tensor
    """int64, N; an index into the class names."""

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: Tensor) -> "Images":
        """The images at these indices (int64, any number, repeats allowed)."""
        return Images(self.pixels[index], self.labels[index])


@dataclass(frozen=True, slots=True)
class ImageData:
    """A data set with its fixed split."""

    class_names: tuple[str, ...]
    train: Images
    test: Images


def load(name: str, run: Run, *, image_size: int) -> ImageData:
    """Read a data set by name.

    `image_size` bounds what is stored of an image folder's images: they are cropped to squares of that many pixels a
    side, or of the first image's shorter side if that is less. `digits` stays 8x8 and CIFAR-10 32x32.
    Raises `DatasetMissing`; `Stopped` when the run is asked to end while images are decoded.
    """
    folder = run.datasets_folder
    images = find_image_folder(folder, name)
    if name == "digits":
        arrays = _through_cache(run, f"digits-{version('scikit-learn')}", _read_digits)
        return _split(CLASS_NAMES["digits"], arrays, DIGITS_TRAIN)
    if name == "cifar10" and has_cifar10_batches(folder):
        # The batches are pickles; the digest check of torchvision's reader must see them before they are opened.
        arrays = _through_cache(run, "cifar10-batches", lambda: _read_cifar10(folder))
        return _split(CLASS_NAMES["cifar10"], arrays, CIFAR10_TRAIN)
    if images is None:
        known = ", ".join(available_datasets(folder)) or "none"
        raise DatasetMissing(f"this node has no data set {name!r}; it has: {known}")
    return _load_folder(name, images, run, image_size)


def to_input(pixels_NCHW: Tensor, image_size: int) -> Tensor:
    """Floats in [0, 1] with three channels and image_size pixels a side, on the device of the pixels."""
    x_NCHW = pixels_NCHW.to(torch.float32) / 255
    if x_NCHW.shape[-2:] != (image_size, image_size):
        shrinks = x_NCHW.shape[-1] > image_size
        x_NCHW = functional.interpolate(x_NCHW, (image_size, image_size), mode="bilinear", antialias=shrinks)
    return x_NCHW.expand(-1, 3, -1, -1)


def _split(names: tuple[str, ...], arrays: Arrays, train: int) -> ImageData:
    pixels, labels = map(torch.from_numpy, arrays)
    return ImageData(names, Images(pixels[:train], labels[:train]), Images(pixels[train:], labels[train:]))


def _through_cache(run: Run, key: str, read: Callable[[], Arrays]) -> Arrays:
    paths = [run.cache_folder / f"{key}-{part}.npy" for part in ("labels", "pixels")]
    if not all(path.exists() for path in paths):
        run.cache_folder.mkdir(parents=True, exist_ok=True)
        pixels, labels = read()
        _save_whole(paths[0], labels)
        _save_whole(paths[1], pixels)
    labels = np.load(paths[0], allow_pickle=False)
    _raise_data_limit(paths[1].stat().st_size)
    # Copy on write: torch wants a writable buffer, and nobody can change the file through it.
    return np.load(paths[1], allow_pickle=False, mmap_mode="c"), labels


def _raise_data_limit(more_bytes: int) -> None:
    """The kernel counts a private mapping as the run's data, although unchanged pages belong to the file."""
    limit, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if limit != resource.RLIM_INFINITY:
        raised = limit + more_bytes
        most = raised if hard == resource.RLIM_INFINITY else min(raised, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def _save_whole(path: Path, array: NDArray[np.generic]) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            np.save(file, array, allow_pickle=False)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _read_digits() -> Arrays:
    """The 1797 digits in a fixed order, shuffled with seed 0: the first 1437 train, the other 360 test."""
    from sklearn.datasets import load_digits

    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    pixels = np.rint(found.images[order] * (255 / 16)).astype(np.uint8)
    return pixels[:, None], found.target[order].astype(np.int64)


def _read_cifar10(folder: Path) -> Arrays:
    from torchvision.datasets import CIFAR10

    try:
        parts = [CIFAR10(str(folder), train=train, download=False) for train in (True, False)]
    except RuntimeError as error:
        raise DatasetMissing(
            f"the CIFAR-10 batches on this node are damaged or not the published ones: {error}"
        ) from None
    pixels = np.concatenate([part.data for part in parts]).transpose(0, 3, 1, 2)
    labels = np.concatenate([part.targets for part in parts]).astype(np.int64)
    return np.ascontiguousarray(pixels), labels


@dataclass(frozen=True, slots=True)
class _Listing:
    """The images of one split in the order of class and file name."""

    paths: list[Path]
    labels: list[int]
    state: str
    """Changes when an image is added, removed or rewritten."""


def _load_folder(name: str, images: ImageFolder, run: Run, image_size: int) -> ImageData:
    names = class_names(run.datasets_folder, name)
    train, test = _list_split(images.train, names), _list_split(images.test, names)
    paths = train.paths + test.paths
    side = min(image_size, _shorter_side(name, paths[0]))
    if (needed := len(paths) * 3 * side**2) > MAX_PIXELS_BYTES:
        raise DatasetMissing(
            f"data set {name!r}: {len(paths)} images of {side}x{side} pixels take {needed} bytes; "
            f"the limit is {MAX_PIXELS_BYTES}; choose a smaller image_size"
        )
    state = hashlib.sha256(f"{DECODING} {names} {train.state} {test.state}".encode()).hexdigest()[:16]
    labels = np.array(train.labels + test.labels, dtype=np.int64)
    arrays = _through_cache(run, f"{name}-{side}-{state}", lambda: (_decode(name, paths, side, run), labels))
    # Folders may have names that are no UTF-8, which no result could hold.
    return _split(tuple(clean_text(name) for name in names), arrays, len(train.paths))


def _list_split(split: Path, names: tuple[str, ...]) -> _Listing:
    paths: list[Path] = []
    labels: list[int] = []
    state: list[tuple[str, int, int]] = []
    for folder in sorted(entry for entry in split.iterdir() if entry.is_dir() and not entry.name.startswith(".")):
        if folder.name not in names:
            raise DatasetMissing(f"class {folder.name!r} of {split.name} is not among the classes of train")
        with os.scandir(folder) as entries:
            found = sorted((entry for entry in entries if is_picture(entry)), key=lambda entry: entry.name)
        paths += [folder / entry.name for entry in found]
        labels += [names.index(folder.name)] * len(found)
        state += [_state(entry) for entry in found]
    return _Listing(paths, labels, hashlib.sha256(repr(state).encode()).hexdigest())


def _state(entry: os.DirEntry[str]) -> tuple[str, int, int]:
    try:
        found = entry.stat()
    except OSError:  # a link that leads nowhere; reading it names it
        return entry.name, -1, 0
    return entry.name, found.st_size, found.st_mtime_ns


def _decode(name: str, paths: list[Path], side: int, run: Run) -> NDArray[np.uint8]:
    """Every image, or the names of those that cannot be read: without them it would be another data set."""
    pixels = np.empty((len(paths), 3, side, side), np.uint8)
    refused: list[str] = []
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for start in range(0, len(paths), DECODE_BATCH_SIZE):
            if run.should_stop():
                raise Stopped(f"asked to stop after {start} of {len(paths)} images were decoded")
            run.progress(0.0, f"decoding image {start} of {len(paths)}, once for this node")
            some = paths[start : start + DECODE_BATCH_SIZE]
            for offset, picture in enumerate(pool.map(lambda path: _read_or_refuse(path, side), some)):
                if isinstance(picture, str):
                    refused.append(picture)
                else:
                    pixels[start + offset] = picture
    if refused:
        raise _unreadable(name, refused, len(paths))
    return pixels


def _read_or_refuse(path: Path, side: int) -> NDArray[np.uint8] | str:
    try:
        return read_square(path, side)
    except PictureUnreadable as reason:
        return f"{shown_name(path)} cannot be decoded: {reason}"


def _unreadable(name: str, refused: list[str], total: int) -> DatasetMissing:
    print(*refused, sep="\n", flush=True)  # noqa: T201 - the run's output has them all
    more = f"; and {len(refused) - MAX_NAMED} more, all named in the output" if len(refused) > MAX_NAMED else ""
    return DatasetMissing(
        f"data set {name!r}: {len(refused)} of {total} images cannot be read; "
        f"fix or remove them: {'; '.join(refused[:MAX_NAMED])}{more}"
    )


def _shorter_side(name: str, path: Path) -> int:
    try:
        return shorter_side(path)
    except PictureUnreadable as reason:
        raise DatasetMissing(f"data set {name!r}: {shown_name(path)} cannot be decoded: {reason}") from reason
