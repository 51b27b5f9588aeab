"""Image files as data: what each becomes, and what is refused by name."""

import errno
import io
import os
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.datasets import pictures
from experiments.datasets.loading import DatasetMissing, load
from experiments.datasets.pictures import PictureUnreadable, read_square, shorter_side
from experiments.hosting.run_directory import RunDirectory

Paint = Callable[[Path], None]


def middle(path: Path) -> list[int]:
    pixels: list[int] = read_square(path, 4)[:, 2, 2].tolist()
    return pixels


def save(image: Image.Image, **options: object) -> Paint:
    return lambda path: image.save(path, **options)


def grey(value: int) -> Image.Image:
    return Image.fromarray(np.full((8, 8), value, np.uint16))


def palette_with_a_hole() -> Image.Image:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 200, 10, 10])
    image.info["transparency"] = 1
    return image


@pytest.mark.parametrize(
    ("name", "paint", "color"),
    [
        ("grey16.png", save(grey(65535)), [255, 255, 255]),
        ("dark16.png", save(grey(257 * 40)), [40, 40, 40]),
        ("dim16.tiff.png", save(grey(257 * 7), format="TIFF"), [7, 7, 7]),
        ("clear.png", save(Image.new("RGBA", (8, 8), (255, 0, 0, 0))), [255, 255, 255]),
        ("half.png", save(Image.new("LA", (8, 8), (0, 51))), [204, 204, 204]),
        ("hole.png", save(palette_with_a_hole(), transparency=1), [255, 255, 255]),
        ("key.png", save(Image.new("RGB", (8, 8), (9, 9, 9)), transparency=(9, 9, 9)), [255, 255, 255]),
        ("clear.webp", save(Image.new("RGBA", (8, 8), (255, 0, 0, 0)), lossless=True, exact=True), [255, 255, 255]),
        ("cmyk.jpg", save(Image.new("CMYK", (8, 8), (0, 0, 0, 0)), quality=100), [255, 255, 255]),
        ("bits.bmp", save(Image.new("1", (8, 8), 1)), [255, 255, 255]),
        ("key16.png", save(grey(1000), transparency=1000), [255, 255, 255]),
        ("plain.png", save(Image.new("RGB", (8, 8), (1, 2, 3))), [1, 2, 3]),
    ],
)
def test_pictures_become_the_colours_that_a_viewer_shows(
    tmp_path: Path, name: str, paint: Paint, color: list[int]
) -> None:
    paint(tmp_path / name)
    assert middle(tmp_path / name) == color
    assert shorter_side(tmp_path / name) == 8


def test_a_picture_stands_as_its_camera_was_held_and_an_animation_is_its_first_frame(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:4] = 255
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    turned = read_square(tmp_path / "turned.png", 8)
    assert (turned[0, 0, 0], turned[0, 7, 7]) == (0, 255)
    frames = [Image.new("RGB", (8, 8), color) for color in ("white", "black")]
    for kind in ("gif", "png", "webp"):
        path = tmp_path / f"moves.{kind}.png"
        frames[0].save(path, format=kind.upper(), save_all=True, append_images=frames[1:], lossless=True)
        assert middle(path) == [255, 255, 255]


def test_a_broken_orientation_leaves_the_picture_as_it_is_stored(tmp_path: Path) -> None:
    image = Image.new("RGB", (8, 8), (1, 2, 3))
    image.save(tmp_path / "odd.png", exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\xff\xff\x01")
    assert middle(tmp_path / "odd.png") == [1, 2, 3]


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    parts = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def header(width: int, height: int) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)


def whole() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


def deep_key() -> bytes:
    """16 bits a colour, of which one is transparent."""
    rows = (b"\0" + struct.pack(">3H", 1000, 1000, 1000) * 8) * 8
    head = b"IHDR", struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)
    return png(head, (b"tRNS", struct.pack(">3H", 1000, 1000, 1000)), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))


def tiff(mode: str) -> bytes:
    file = io.BytesIO()
    Image.new(mode, (8, 8)).save(file, "TIFF")
    return file.getvalue()


BOMB = zlib.compress(b"\x00" * (80 * 2**20), 9)
BROKEN = {
    "empty": (b"", "not an image of a supported format"),
    "text": (b"not an image", "not an image of a supported format"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n", "not an image of a supported format"),
    "signature alone": (b"\x89PNG\r\n\x1a\n", r"."),
    "truncated": (whole()[:4000], "truncated"),
    "flipped": (whole()[:2000] + b"\xff" * 500 + whole()[2500:], r"."),
    "too wide": (png(header(200_000, 200_000), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")), "more pixels|limit"),
    "wide": (png(header(10_000, 9_500), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")), "pixels"),
    "text bomb": (
        png(header(8, 8), (b"zTXt", b"k\x00\x00" + BOMB), (b"IDAT", zlib.compress(b"\x00" * 72)), (b"IEND", b"")),
        "too large",
    ),
    "float": (tiff("F"), "32-bit numbers"),
    "integers": (tiff("I"), "32-bit numbers"),
    "deep key": (deep_key(), "transparent colour has 16 bits"),
    "no width": (png(header(0, 8), (b"IEND", b"")), r"."),
}  # fmt: skip


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("kind", BROKEN)
def test_what_cannot_be_read_is_refused_with_a_reason_that_tells_no_path(tmp_path: Path, kind: str) -> None:
    content, words = BROKEN[kind]
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(PictureUnreadable, match=words) as caught:
        read_square(path, 4)
    assert str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_what_is_no_file_holds_no_training_up(tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / "data/odd" / split / "a").mkdir(parents=True)
        save(Image.new("RGB", (8, 8)))(tmp_path / "data/odd" / split / "a" / "0.png")
    folder = tmp_path / "data/odd/train/a"
    os.mkfifo(folder / "pipe.png")
    (folder / "folder.png").mkdir()
    (folder / "nowhere.png").symlink_to("gone.png")
    (folder / "circle.png").symlink_to("circle.png")
    (folder / "device.png").symlink_to("/dev/zero")
    run = RunDirectory(tmp_path / "run", datasets_folder=tmp_path / "data", cache_folder=tmp_path / "cache")
    with pytest.raises(DatasetMissing, match="5 of 7 images cannot be read") as caught:
        load("odd", run, image_size=4)
    assert "nowhere.png cannot be decoded: no such file" in str(caught.value)
    assert "pipe.png cannot be decoded: it is not a regular file" in str(caught.value)


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
def test_a_disk_that_fails_is_not_the_pictures_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    save(Image.new("RGB", (8, 8)))(tmp_path / "x.png")

    def fail(*_: object, **__: object) -> Image.Image:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Image, "open", fail)
    for read in (shorter_side, lambda path: read_square(path, 4)):
        with pytest.raises(OSError, match=re.escape(os.strerror(number))):
            read(tmp_path / "x.png")


@pytest.mark.parametrize("error", [IndexError("index"), KeyError(3), RuntimeError(), zlib.error("bad")])
def test_whatever_a_decoder_raises_is_the_pictures_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    save(Image.new("RGB", (8, 8)))(tmp_path / "x.png")

    def fail(_: Image.Image) -> Image.Image:
        raise error

    monkeypatch.setattr(pictures, "in_colors", fail)
    with pytest.raises(PictureUnreadable, match=r"."):
        read_square(tmp_path / "x.png", 4)


@pytest.mark.filterwarnings("default")
def test_every_bad_picture_of_a_data_set_is_named_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for split in ("train", "test"):
        (tmp_path / "data/mixed" / split / "a").mkdir(parents=True)
        save(Image.new("RGB", (8, 8)))(tmp_path / "data/mixed" / split / "a" / "0.png")
    for number, (content, _) in enumerate(BROKEN.values()):
        (tmp_path / "data/mixed/train/a" / f"bad{number}.png").write_bytes(content)
    (tmp_path / "data/mixed/test/a" / "caf\udce9.png").write_bytes(b"")
    run = RunDirectory(tmp_path / "run", datasets_folder=tmp_path / "data", cache_folder=tmp_path / "cache")
    with pytest.raises(DatasetMissing) as caught:
        load("mixed", run, image_size=4)
    words = str(caught.value)
    assert f"'mixed': {len(BROKEN) + 1} of {len(BROKEN) + 3} images cannot be read" in words
    assert "train/a/bad0.png cannot be decoded: it is not an image" in words
    assert f"and {len(BROKEN) - 4} more" in words
    words.encode()
    out = capsys.readouterr().out
    assert all(f"bad{number}.png" in out for number in range(len(BROKEN)))
    assert "test/a/caf\\xe9.png" in out
