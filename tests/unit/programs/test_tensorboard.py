"""TensorBoard's event files become series and images, from every writer."""

import json
import math
import struct
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.hosting.run_directory import RunDirectory
from experiments.program_host.collecting import tensorboard
from experiments.program_host.collecting.event_files import (
    MAX_RECORD_BYTES,
    EventFileError,
    Image,
    Scalar,
    masked_crc,
    read_records,
    values_of,
)
from experiments.program_host.collecting.tensorboard import EventFiles, file_name, series_name
from tests.unit.programs.event_writing import crc32c, event, framed, image, masked, message, scalar

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"


class Watched:
    """A program's folder and the records that came of it."""

    def __init__(self, folder: Path) -> None:
        self.work = folder / "work"
        self.work.mkdir()
        self.run = RunDirectory(folder / "run")
        self.files = EventFiles(self.run, self.work)

    def file(self, name: str = "events.out.tfevents.1.host") -> Path:
        path = self.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def records(self, kind: str) -> list[dict[str, Any]]:
        lines = (self.run.folder / "records.ndjson").read_text().splitlines()
        return [each for each in map(json.loads, lines) if each["type"] == kind]

    def series(self) -> dict[str, list[tuple[int, float]]]:
        found: dict[str, list[tuple[int, float]]] = {}
        for record in self.records("metric"):
            for name, value in record["values"].items():
                found.setdefault(name, []).append((record["step"], float(value)))
        return found


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_checksum_is_the_standard_one() -> None:
    # The check value of CRC-32C, and 32 zeros of RFC 3720.
    assert (crc32c(b"123456789"), crc32c(bytes(32))) == (0xE3069283, 0x8A9136AA)
    assert struct.pack("<I", masked_crc(b"123456789")) == masked(b"123456789")


@given(st.lists(st.tuples(st.text(min_size=1, max_size=50), st.integers(-(2**63), 2**63 - 1), st.floats(width=32))))
def test_scalars_are_read_as_they_were_written(written: list[tuple[str, int, float]]) -> None:
    data = b"".join(framed(event(step, scalar(tag, value), time=1.5)) for tag, step, value in written)
    records, taken = read_records(data)
    found = [each for record in records for each in values_of(record)]
    assert taken == len(data)
    assert [(each.tag, each.step, each.time) for each in found] == [(tag, step, 1.5) for tag, step, _ in written]
    for each, (_, _, value) in zip(found, written, strict=True):
        assert isinstance(each, Scalar)
        assert each.value == value or (math.isnan(each.value) and math.isnan(value))


def test_torch_writes_what_is_read(watched: Watched) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(str(watched.work / "runs" / "first")) as writer:
            for step in (0, 5):
                writer.add_scalar("Loss/train set", 1 / (step + 1), step)
                writer.add_scalar("new style", step / 3, step, new_style=True, double_precision=True)
                writer.add_scalars("both", {"a": step, "b": 2 * step}, step)
            writer.add_image("digits/first", torch.rand(3, 4, 5), 7)
            writer.add_histogram("weights", torch.rand(10), 1)
            writer.add_text("note", "hello")
            writer.add_hparams({"lr": 0.1}, {"final": 0.25})
    watched.files.finish()
    series = watched.series()
    assert series.pop("new_style") == [(0, 0.0), (5, 5 / 3)]
    assert series == {
        "Loss/train_set": [(0, 1.0), (5, pytest.approx(1 / 6))],
        "both_a/both": [(0, 0.0), (5, 5.0)],
        "both_b/both": [(0, 0.0), (5, 10.0)],
        "final": [(0, 0.25)],
    }
    (picture,) = watched.records("artifact")
    assert (picture["name"], picture["media_type"]) == ("digits-first.7.png", "image/png")
    assert watched.records("warning") == []


def test_half_a_record_waits_for_its_rest(watched: Watched) -> None:
    whole = framed(event(1, scalar("loss", 0.5))) + framed(event(2, scalar("loss", 0.25)))
    for end in range(len(whole) + 1):
        watched.file().write_bytes(whole[:end])
        watched.files.turn()
    assert watched.series() == {"loss": [(1, 0.5), (2, 0.25)]}


def test_file_that_is_longer_than_one_look_is_read_to_its_end(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorboard, "READ_BYTES", 200)
    lines = [framed(event(step, scalar("loss", step))) for step in range(50)]
    watched.file().write_bytes(b"".join(lines))
    watched.files.turn()
    assert len(watched.series()["loss"]) < 50
    watched.files.finish()
    assert watched.series()["loss"] == [(step, float(step)) for step in range(50)]
    assert watched.records("warning") == []


def test_file_without_an_end_does_not_hold_up_the_end_of_the_run(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorboard, "READ_BYTES", 200)
    monkeypatch.setattr(tensorboard, "MAX_FINISH_SECONDS", 0.0)
    watched.file().write_bytes(b"".join(framed(event(step, scalar("loss", step))) for step in range(50)))
    watched.files.turn()
    watched.files.finish()
    assert 0 < len(watched.series()["loss"]) < 50
    assert len(watched.records("warning")) == 1


HOSTILE = {
    "wrong checksum": framed(b"x")[:-1] + b"\0",
    "wrong length": b"\xff" * 8 + framed(b"x")[8:],
    "endless record": framed(b"x", length=MAX_RECORD_BYTES + 1),
    "field longer than its message": framed(b"\x2a\xff\xff\x03x"),
    "number without an end": framed(b"\x10" + b"\xff" * 20),
    "unknown kind of field": framed(b"\x0b"),
    "too many values": framed(event(1, *[scalar("a", 0)] * 1001)),
    "text": b"this is no event file at all",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_broken_file_costs_itself_and_is_named_once(watched: Watched, data: bytes) -> None:
    watched.file("a/events.tfevents.1").write_bytes(framed(event(1, scalar("loss", 1))) + data)
    watched.file("b/events.tfevents.2").write_bytes(framed(event(2, scalar("loss", 2))))
    for _ in range(3):
        watched.files.turn()
    assert watched.series()["loss"][-1:] == [(1, 1.0)] or data == HOSTILE["too many values"]
    assert watched.series()["b/loss"] == [(2, 2.0)]
    assert len(watched.records("warning")) == 1


@given(st.binary(max_size=200))
def test_any_bytes_are_an_event_or_an_error(data: bytes) -> None:
    try:
        for each in values_of(data):
            assert isinstance(each, Scalar | Image)
    except EventFileError:
        pass


def test_links_and_other_things_are_not_read(watched: Watched, tmp_path: Path) -> None:
    import os

    secret = tmp_path / "secret.tfevents.1"
    secret.write_bytes(framed(event(1, scalar("stolen", 1))))
    (watched.work / "link.tfevents.1").symlink_to(secret)
    (watched.work / "folder").symlink_to(tmp_path)
    os.mkfifo(watched.work / "pipe.tfevents.1")
    (watched.work / "directory.tfevents.1").mkdir()
    watched.files.finish()
    assert watched.series() == {}


def test_pictures_are_bounded_and_the_last_is_kept(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorboard, "MAX_IMAGES_OF_TAG", 3)
    data = b"".join(framed(event(step, image("a b", PNG))) for step in range(10))
    watched.file().write_bytes(data + framed(event(1, image("svg", b"<svg onload=alert(1)>"))))
    watched.files.finish()
    assert [each["name"] for each in watched.records("artifact")] == [f"a_b.{step}.png" for step in (0, 1, 2, 9)]
    assert [each["message"] for each in watched.records("warning")] == [
        "TensorBoard: images: 3 of a tag and 200 in all are kept, and the last of each tag",
        "TensorBoard: an image of 'svg' is neither PNG, JPEG nor GIF",
    ]


def test_too_many_series_are_refused_and_the_others_go_on(watched: Watched) -> None:
    data = b"".join(framed(event(1, scalar(f"tag{number}", 1))) for number in range(600))
    watched.file().write_bytes(data + framed(event(2, scalar("tag0", 2))))
    watched.files.finish()
    assert len(watched.series()) == 500
    assert watched.series()["tag0"] == [(1, 1.0), (2, 2.0)]
    assert 1 <= len(watched.records("warning")) <= 20


def test_time_is_the_programs_unless_it_is_not_to_be_believed(watched: Watched) -> None:
    import time

    before = time.time()
    times = [before + 0.001, -1.0, math.nan, 1e300, before + 3600]
    watched.file().write_bytes(b"".join(framed(event(n, scalar("x", 0), time=at)) for n, at in enumerate(times)))
    while time.time() < before + 0.002:
        pass
    watched.files.finish()
    first, *others = (record["time"] for record in watched.records("metric"))
    assert first == times[0]
    assert all(before <= each <= time.time() for each in others)


def test_values_of_fields_that_nobody_knows_are_passed_over() -> None:
    unknown = message(100, b"x") + b"\x80\x06\x01"
    assert list(values_of(event(3, scalar("a", 1) + unknown) + unknown)) == [Scalar("a", 3, 0.0, 1.0)]


@pytest.mark.parametrize(
    ("tag", "name"),
    [("Loss/train", "Loss/train"), ("größe (m)", "gr_e_m"), ("1st", "s1st"), ("///", "series"), ("a" * 200, "a" * 100)],
)
def test_tags_become_names(tag: str, name: str) -> None:
    assert series_name(tag) == name


def test_names_of_files_stay_within_their_rule() -> None:
    assert file_name("../../etc/passwd") == "etc-passwd"
    assert file_name("\0") == "file"
