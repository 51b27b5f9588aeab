"""Grey 28 x 28 images of one constant band on a constant background: horizontal, vertical, none, diagonal or both."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from homework.experiments.edge_bands.spec import CLASS_NAMES, IMAGE_SIZE, EdgeBandsSpec

Split = Literal["train", "validation"]
Pixels = npt.NDArray[np.float64]

STREAMS = {"train": 0, "validation": 1, "permutation": 2, "weights": 3, "order": 4}
"""One stream of random numbers for each use, so that a change in one leaves the others as they were."""
BACKGROUND = (0.0, 0.2)
BAND_VALUE = (0.25, 1.0)
WIDTHS = (1, 4)
DIAGONAL_ANGLES_DEGREES = (30, 45, 120, 135)


@dataclass(frozen=True)
class Images:
    """`pixels` (n, 28, 28) as 8-bit grey, `labels` (n,), and whether each image that should show a band is `blank`."""

    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    blank: npt.NDArray[np.bool_]

    @property
    def blank_share(self) -> float:
        """Of the images whose class has a band."""
        return float(self.blank[self.labels != CLASS_NAMES.index("none")].mean())


def generator(seed: int, stream: str, *more: int) -> np.random.Generator:
    return np.random.default_rng([seed, STREAMS[stream], *more])


def draw_images(spec: EdgeBandsSpec, seed: int, split: Split) -> Images:
    """The images of one seed, class by class. The first n of a class are the same whatever the number asked for."""
    count = spec.images_per_class if split == "train" else spec.validation_images_per_class
    drawn = [
        _draw(spec, name, index, split, rng)
        for label, name in enumerate(spec.class_names)
        for rng in [generator(seed, split, label)]
        for index in range(count)
    ]
    pixels = np.stack([np.rint(255 * image) for image, _ in drawn]).astype(np.uint8)
    if spec.permute_pixels:
        order = generator(seed, "permutation").permutation(IMAGE_SIZE**2)
        pixels = pixels.reshape(len(pixels), -1)[:, order].reshape(pixels.shape)
    labels = np.repeat(np.arange(spec.classes), count)
    return Images(pixels, labels, np.array([blank for _, blank in drawn]))


def _draw(spec: EdgeBandsSpec, name: str, index: int, split: Split, rng: np.random.Generator) -> tuple[Pixels, bool]:
    background = rng.uniform(*BACKGROUND)
    image = np.full((IMAGE_SIZE, IMAGE_SIZE), background)
    if name == "none":
        return image, False
    widths = WIDTHS
    if name == "diagonal":
        widths = (1, 1) if spec.geometry == "original" else (1, 2)
    start, end = _extent(spec, split, widths, rng)
    horizontal = name != "vertical" and not (name == "diagonal" and index % 2)
    _paint(image, start, end, rng.uniform(*BAND_VALUE), horizontal=horizontal)
    if name == "both":
        if spec.geometry == "exact":
            start, end = _extent(spec, split, widths, rng)
        _paint(image, start, end, rng.uniform(*BAND_VALUE), horizontal=False)
    if name == "diagonal":
        image = background + rotate(image - background, float(rng.choice(DIAGONAL_ANGLES_DEGREES)))
    return image, start >= end


def _extent(spec: EdgeBandsSpec, split: Split, widths: tuple[int, int], rng: np.random.Generator) -> tuple[int, int]:
    """First row or column of a band and the one after its last."""
    width = int(rng.integers(widths[0], widths[1] + 1))
    half = IMAGE_SIZE // 2
    low, high = 0, IMAGE_SIZE
    if spec.domain_shift:
        low, high = (0, half) if split == "train" else (half, IMAGE_SIZE)
    if spec.geometry == "exact":
        start = int(rng.integers(low, high - width + 1))
        return start, start + width
    # The oldest code starts at 1, cuts at one before the end, and lets a band start on the cut: nothing is left of it.
    cut = high - 1
    start = int(rng.integers(max(low, 1), cut + 1))
    return start, min(start + width, cut)


def _paint(image: Pixels, start: int, end: int, value: float, *, horizontal: bool) -> None:
    if horizontal:
        image[start:end] = value
    else:
        image[:, start:end] = value


def rotate(image: Pixels, angle_degrees: float) -> Pixels:
    """Turn a square image about its centre with linear interpolation; zeros come in from outside."""
    size = len(image)
    centre = (size - 1) / 2
    angle = np.deg2rad(angle_degrees)
    y, x = np.mgrid[:size, :size] - centre
    source_y = np.cos(angle) * y + np.sin(angle) * x + centre
    source_x = np.cos(angle) * x - np.sin(angle) * y + centre
    top, left = np.floor(source_y).astype(int), np.floor(source_x).astype(int)
    down, right = source_y - top, source_x - left
    # A border of zeros on each side catches every index that lies outside.
    padded = np.pad(image, 1)

    def at(rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64]) -> Pixels:
        return padded[np.clip(rows + 1, 0, size + 1), np.clip(columns + 1, 0, size + 1)]

    above = (1 - right) * at(top, left) + right * at(top, left + 1)
    below = (1 - right) * at(top + 1, left) + right * at(top + 1, left + 1)
    turned: Pixels = (1 - down) * above + down * below
    return turned
