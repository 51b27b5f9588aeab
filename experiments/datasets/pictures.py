"""One image file as pixels, or the reason why not. What has no single meaning as 8-bit colours is refused."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISDIR, S_ISREG

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from experiments.contract import DISK_TROUBLE

FORMATS = ("JPEG", "PNG", "BMP", "DIB", "WEBP", "GIF", "TIFF")
"""By content, whatever a file is called. Of Pillow's other formats some start programs."""
MAX_PIXELS = 89_478_485
"""A larger image takes more than 256 MiB when it is decoded; a file of a few bytes may claim that much."""
SIXTEEN_BIT_MODES = ("I;16", "I;16L", "I;16B", "I;16N")
WHITE = (255, 255, 255, 255)


class PictureUnreadable(Exception):  # noqa: N818 - the name states the fact
    """A file that is no image, or none that a training can take; its text is the reason, without the file's name."""


# Pillow knows the formats only once their plug-ins are loaded.
Image.init()


def read_square(path: Path, side: int) -> NDArray[np.uint8]:
    """The image's middle square, upright, as 3 x side x side; what is transparent shows white."""
    with _reading(), _opened(path) as image:
        square = ImageOps.fit(in_colors(_upright(image)), (side, side), Image.Resampling.BILINEAR)
        return np.asarray(square).transpose(2, 0, 1)


def shorter_side(path: Path) -> int:
    """The lesser of width and height, in pixels."""
    with _reading(), _opened(path) as image:
        return min(image.size)


def in_colors(image: Image.Image) -> Image.Image:
    """The image as 8-bit RGB: 16 bits of grey are scaled, transparency lies on white."""
    if image.mode in SIXTEEN_BIT_MODES:
        return Image.fromarray(_eight_bits(_on_white(np.asarray(image), image.info.get("transparency")))).convert("RGB")
    if image.mode in {"I", "F"}:
        raise PictureUnreadable(f"its pixels are 32-bit numbers (mode {image.mode}), and no value is known to be white")
    if image.has_transparency_data:
        colors = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", colors.size, WHITE), colors).convert("RGB")
    return image.convert("RGB")


def shown_name(path: Path) -> str:
    """Split, class and file, also where the name is no text."""
    return os.fsencode("/".join(path.parts[-3:])).decode(errors="backslashreplace")


@contextmanager
def _reading() -> Iterator[None]:
    """An image is mended by its owner; a disk, or the server of one, is the machine's to blame and goes through."""
    try:
        yield
    except (PictureUnreadable, MemoryError):
        raise
    # Any bytes may stand in a file, and what Pillow raises of them is no closed list.
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK_TROUBLE:
            raise
        raise PictureUnreadable(_reason(error)) from error


def _opened(path: Path) -> Image.Image:
    # A pipe or a device would hold its reader up for ever.
    if not S_ISREG((found := path.stat()).st_mode):
        raise PictureUnreadable("is a directory" if S_ISDIR(found.st_mode) else "it is not a regular file")
    image = Image.open(path, formats=FORMATS)
    if image.mode == "RGB" and "transparency" in image.info and any("16" in str(tile.args) for tile in image.tile):
        image.close()
        raise PictureUnreadable("its transparent colour has 16 bits, of which only 8 are read")
    width, height = image.size
    if width * height > MAX_PIXELS:
        image.close()
        raise PictureUnreadable(f"it has {width} x {height} pixels; the limit is {MAX_PIXELS:,} in all")
    return image


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    try:
        return ImageOps.exif_transpose(image)
    # An image without a readable orientation is upright; its pixels are well.
    except Exception:  # noqa: BLE001 - broken EXIF raises as freely as broken pixels
        return image


def _on_white(grey: NDArray[np.generic], hidden: object) -> NDArray[np.generic]:
    """16-bit grey with the one level that is transparent shown white."""
    return np.where(grey == hidden, np.uint16(65535), grey) if isinstance(hidden, int) else grey


def _eight_bits(grey: NDArray[np.generic]) -> NDArray[np.uint8]:
    return np.rint(grey.astype(np.float32) / 257).astype(np.uint8)


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "it is not an image of a supported format"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"it has more pixels than the limit of {MAX_PIXELS:,}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return " ".join(f"{error}".split())[:200] or type(error).__name__
