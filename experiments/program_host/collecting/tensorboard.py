"""Series and images from the event files that a program writes anywhere below its folder."""

import math
import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from experiments.hosting.run_directory import RunDirectory
from experiments.program_host.collecting.event_files import EventFileError, Image, Scalar, read_records, values_of
from gpulab.run.values import MAX_NAME_CHARACTERS

MARK = ".tfevents."
MAX_FILES = 200
MAX_FOLDERS = 2000
MAX_DEPTH = 8
READ_BYTES = 32 * 2**20
"""Of one file in one turn; more than its longest record."""
MAX_FINISH_SECONDS = 30.0
MAX_IMAGES_OF_TAG = 20
MAX_IMAGES = 200
IMAGE_TYPES = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpg", b"GIF8": "gif"}
TIMESTAMP = re.compile(r"\d+(\.\d+)?")
"""How `add_hparams` calls a folder."""
NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]+")
NOT_IN_SERIES = re.compile(r"[^A-Za-z0-9_./-]+")


class EventFiles:
    """Call `turn` now and then, and once more when the program has ended."""

    def __init__(self, run: RunDirectory, folder: Path) -> None:
        self._run = run
        self._folder = folder
        self._offsets: dict[Path, int] = {}
        self._broken: set[Path] = set()
        self._main: Path | None = None
        """The folder of the first file: its series have no prefix."""
        self._images: Counter[str] = Counter()
        self._last_images: dict[str, tuple[str, bytes]] = {}
        self._refused: set[str] = set()
        self._began = time.time()

    def turn(self, until: float = math.inf) -> None:
        """Record what is new, by the monotonic clock no longer than `until`."""
        for path in self._files():
            if path not in self._broken and time.monotonic() < until:
                self._read(path)

    def finish(self) -> None:
        """Record all that is new, and the last image of each tag that had too many."""
        until = time.monotonic() + MAX_FINISH_SECONDS
        while self._progressed(until):
            pass
        if time.monotonic() >= until:
            self._warn(f"not everything was read within {MAX_FINISH_SECONDS:g} s of the program's end")
        for name, data in self._last_images.values():
            self._keep(name, data)

    def _progressed(self, until: float) -> bool:
        before = dict(self._offsets)
        self.turn(until)
        return before != self._offsets

    def _files(self) -> list[Path]:
        found = [Path(entry.path) for entry in _walk(self._folder) if MARK in entry.name]
        # Its name has the time of its making, and a writer's own folder lies above those that it makes in it.
        fresh = sorted((path for path in found if path not in self._offsets), key=lambda p: (len(p.parts), p.name))
        for path in fresh[: MAX_FILES - len(self._offsets)]:
            self._offsets[path] = 0
        return list(self._offsets)

    def _read(self, path: Path) -> None:
        try:
            file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return
        try:
            if os.fstat(file).st_size > self._offsets[path]:
                records, taken = read_records(os.pread(file, READ_BYTES, self._offsets[path]))
                self._offsets[path] += taken
                for record in records:
                    self._take(path, record)
        except (EventFileError, OSError) as error:
            self._broken.add(path)
            self._warn(f"{path.name}: read up to byte {self._offsets[path]}; then {error}")
        finally:
            os.close(file)

    def _take(self, path: Path, record: bytes) -> None:
        for value in values_of(record):
            tag = self._prefix(path) + value.tag
            if isinstance(value, Scalar):
                self._scalar(tag, value)
            else:
                self._image(tag, value)

    def _prefix(self, path: Path) -> str:
        """Writers in several folders, as `add_scalars` makes them, keep their series apart by the folder's name."""
        folder = path.parent
        self._main = self._main or folder
        near = next((place for place in (self._main, self._main.parent) if folder.is_relative_to(place)), self._folder)
        parts = [part for part in folder.relative_to(near).parts if not TIMESTAMP.fullmatch(part)]
        return "".join(f"{part}/" for part in parts)

    def _scalar(self, tag: str, scalar: Scalar) -> None:
        try:
            self._run.metrics(scalar.step, {series_name(tag): scalar.value}, time=self._time(scalar.time))
        except ValueError as error:
            self._warn(str(error))

    def _time(self, seconds: float) -> float:
        """When the program wrote it, unless its clock is not to be believed."""
        now = time.time()
        return seconds if math.isfinite(seconds) and self._began <= seconds <= now else now

    def _image(self, tag: str, image: Image) -> None:
        kind = next((kind for magic, kind in IMAGE_TYPES.items() if image.data.startswith(magic)), None)
        if kind is None:
            self._warn(f"an image of {tag!r} is neither PNG, JPEG nor GIF")
            return
        name = f"{file_name(tag)[:90]}.{image.step}.{kind}"
        if self._images[tag] < MAX_IMAGES_OF_TAG and self._images.total() < MAX_IMAGES:
            self._images[tag] += 1
            self._keep(name, image.data)
            return
        self._warn(f"images: {MAX_IMAGES_OF_TAG} of a tag and {MAX_IMAGES} in all are kept, and the last of each tag")
        if tag in self._last_images or len(self._last_images) < MAX_IMAGES:
            self._last_images[tag] = name, image.data

    def _keep(self, name: str, data: bytes) -> None:
        with self._run.artifact(name) as path:
            path.write_bytes(data)

    def _warn(self, message: str) -> None:
        """Once for each cause."""
        if message not in self._refused and len(self._refused) < 20:
            self._refused.add(message)
            self._run.record("warning", message=f"TensorBoard: {message}"[:2000])


def series_name(tag: str) -> str:
    """A tag as the name of a series: what a name may not have becomes `_`."""
    name = NOT_IN_SERIES.sub("_", tag).strip("_/") or "series"
    name = name if name[0].isalpha() else f"s{name}"
    return name[:MAX_NAME_CHARACTERS]


def file_name(text: str) -> str:
    """A path or tag as the name of an artifact, without an ending of its own."""
    return NOT_IN_NAMES.sub("_", text.replace("/", "-")).strip("_.-") or "file"


def _walk(folder: Path) -> Iterator["os.DirEntry[str]"]:
    """Regular files below a folder; no link is followed."""
    waiting, seen = [(folder, 0)], 0
    while waiting and seen < MAX_FOLDERS:
        place, depth = waiting.pop()
        seen += 1
        try:
            entries = list(os.scandir(place))
        except OSError:
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if depth < MAX_DEPTH:
                    waiting.append((Path(entry.path), depth + 1))
            elif entry.is_file(follow_symlinks=False):
                yield entry
