"""Records that a run wrote, or that somebody wrote in its place: one that cannot be read costs itself."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments.hosting import record_reader, wire
from experiments.hosting.record_reader import Broken, RecordReader, SampleReader
from experiments.hosting.run_directory import RunDirectory
from experiments.hosting.wire import Failed, Metric, RunOrder, Sample, Started, Succeeded
from gpulab.schemas.memory import OutOfMemoryRead
from gpulab.states import FailureCause

GOOD = b'{"time":1.5,"type":"metric","step":1,"values":{"loss":0.5}}\n'


def records(folder: Path, content: bytes) -> list[Any]:
    (folder / "records.ndjson").write_bytes(content)
    return RecordReader(folder).read(0)[0]


@pytest.mark.parametrize(
    "line",
    [
        b"not json",
        b"[1]",
        b"null",
        b"17",
        b'"metric"',
        b"{}",
        b'{"time":1,"type":"unknown"}',
        b'{"time":1,"type":["metric"]}',
        b'{"time":1,"type":"metric","step":1}',
        b'{"time":1,"type":"metric","step":1,"values":{"loss":"much"}}',
        b'{"time":1,"type":"metric","step":1,"values":{"lo\\u0000ss":1}}',
        b'{"time":1,"type":"metric","step":9223372036854775808,"values":{}}',
        b'{"time":1,"type":"metric","step":' + b"9" * 5000 + b',"values":{}}',
        b'{"time":NaN,"type":"phase","name":"x"}',
        b'{"time":1e300,"type":"phase","name":"x"}',
        b'{"time":1,"type":"progress","fraction":Infinity}',
        b'{"time":1,"type":"artifact","name":"../../etc/passwd","size_bytes":1,"sha256":"' + b"0" * 64 + b'"}',
        b'{"time":1,"type":"artifact","name":"a","size_bytes":-1,"sha256":"' + b"0" * 64 + b'"}',
        b'{"time":1,"type":"error","message":"x","cause":"bad luck"}',
        b'{"time":1,"type":"result","value":[1]}',
        b"\xff\xfe{}",
        b"\0\0\0\0",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"time":1,"type":"metric"\r',
    ],
    ids=lambda line: repr(line[:60]),
)
def test_line_that_is_no_record_costs_itself(tmp_path: Path, line: bytes) -> None:
    first, broken, last = records(tmp_path, GOOD + line + b"\n" + GOOD)
    assert isinstance(broken, Broken)
    assert broken.offset == len(GOOD)
    assert str(broken).isprintable()
    assert isinstance(first, Metric)
    assert first == last


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("text/csv", "text/csv"),
        ("application/x-ipynb+json", "application/x-ipynb+json"),
        ("text/plain; charset=utf-8", "text/plain; charset=utf-8"),
        ("text/html\r\nSet-Cookie: session=mine", "application/octet-stream"),
        ("text/plain\n", "application/octet-stream"),
        ("image/\N{SNOWMAN}", "application/octet-stream"),
        ("", "application/octet-stream"),
    ],
)
def test_media_type_is_one_that_a_header_can_hold(tmp_path: Path, said: str, read: str) -> None:
    line = {"type": "artifact", "name": "a", "size_bytes": 1, "sha256": "0" * 64, "media_type": said}
    (found,) = records(tmp_path, json.dumps(line).encode() + b"\n")
    assert found.media_type == read


def test_line_longer_than_a_record_may_be_is_passed_over_in_bounded_reads(tmp_path: Path) -> None:
    endless = b'{"time":1,"type":"phase","name":"' + b"x" * (3 * record_reader.MAX_READ_BYTES) + b'"}\n'
    (tmp_path / "records.ndjson").write_bytes(GOOD + endless + GOOD)
    reader, at, found = RecordReader(tmp_path), 0, []
    for _ in range(10):
        new, at = reader.read(at)
        found += new
    assert [type(each) for each in found if isinstance(each, Metric)] == [Metric, Metric]
    assert "longer than" in str(found[1])


def test_half_a_line_waits(tmp_path: Path) -> None:
    (tmp_path / "records.ndjson").write_bytes(GOOD + GOOD[:20])
    found, at = RecordReader(tmp_path).read(0)
    assert (len(found), at) == (1, len(GOOD))


def test_words_of_any_bytes_are_read_with_escapes(tmp_path: Path) -> None:
    (found,) = records(tmp_path, b'{"time":1,"type":"error","message":"caf\\udce9 \\u0000 \xe9"}\n')
    assert isinstance(found, Failed)
    assert found.message == "caf\\udce9 \ufffd \\udce9"
    assert found.cause is FailureCause.ERROR


@pytest.mark.parametrize(
    "words", ["caf\udce9", "a\0b", "\ud800", "grüße 你好 🎉", "line\nbreak\r", 'quote " and \\ slash']
)
def test_what_a_run_says_is_read_again(tmp_path: Path, words: str) -> None:
    run = RunDirectory(tmp_path)
    run.record("error", cause="error", message=words, traceback=words)
    run.record("result", value={words: [words, {"deep": words}], "nan": float("nan")})
    run.close()
    failed, result = RecordReader(tmp_path).read(0)[0]
    assert isinstance(failed, Failed)
    assert isinstance(result, Succeeded)
    shown = wire.clean_text(words)
    assert failed.message == shown
    assert result.value == {shown: [shown, {"deep": shown}], "nan": None}
    assert "\0" not in shown
    assert shown.encode()


def test_explanation_that_cannot_be_read_costs_the_explanation(tmp_path: Path) -> None:
    (found,) = records(tmp_path, b'{"time":1,"type":"error","message":"m","failure":{"limit_bytes":"much"}}\n')
    assert isinstance(found, Failed)
    assert (found.message, found.failure) == ("m", None)


def test_explanation_with_numbers_that_no_reader_takes_costs_the_explanation(tmp_path: Path) -> None:
    nothing = dict.fromkeys(name for name, field in OutOfMemoryRead.model_fields.items() if field.is_required())
    failure = nothing | {"device": "cuda", "largest_tensors": [], "edits": [], "reasons": {}}
    for size, is_kept in ((10**30, False), (-(10**30), False), (2**40, True)):
        line = {"type": "error", "message": "no", "failure": failure | {"requested_bytes": size}}
        (found,) = records(tmp_path, json.dumps(line).encode() + b"\n")
        assert found.message == "no"
        assert (found.failure is not None) is is_kept


def test_sizes_below_zero_are_no_sizes(tmp_path: Path) -> None:
    (found,) = records(tmp_path, b'{"time":1,"type":"memory","allocated_bytes":-5,"reserved_bytes":5}\n')
    assert found.levels() == {"reserved_bytes": 5}


def test_ending_is_found_behind_and_before_whatever_else_was_written(tmp_path: Path) -> None:
    result = b'{"time":2,"type":"result","value":{"total":3}}\n'
    records(tmp_path, GOOD + b"result\n" + result + b"junk result\n" + GOOD + b'{"type":"err')
    assert RecordReader(tmp_path).ending() == Succeeded(time=2, type="result", value={"total": 3})
    records(tmp_path, GOOD)
    assert RecordReader(tmp_path).ending() is None
    assert RecordReader(tmp_path / "nowhere").ending() is None


def as_pipe(path: Path) -> None:
    os.mkfifo(path)


def as_folder(path: Path) -> None:
    path.mkdir()


def as_link(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("replace", [as_pipe, as_folder, as_link])
def test_what_is_no_file_holds_nobody_up(tmp_path: Path, replace: Callable[[Path], None]) -> None:
    replace(tmp_path / "records.ndjson")
    assert RecordReader(tmp_path).read(0) == ([], 0)


def test_record_that_is_too_long_is_refused_where_it_is_made(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    with pytest.raises(ValueError, match="type result may take 4194304 bytes"):
        run.record("result", value={"x": "y" * wire.MAX_LINE_BYTES})
    with pytest.raises(ValueError, match="4300 digits"):
        run.record("result", value={"x": 10**5000})
    run.progress(float("nan"))
    run.record("started", device="cpu", versions={"torch": "2"})
    run.close()
    assert [type(found) for found in RecordReader(tmp_path).every()][1:] == [Started]


def test_samples_are_read_like_records(tmp_path: Path) -> None:
    good = {"time": 1.0, "source": "host", "values": {"rss_bytes": 7, "cpu_percent": None}, "reasons": {"x": "why"}}
    bad = good | {"values": {"rss_bytes": "much"}}
    (tmp_path / "samples.ndjson").write_text("".join(json.dumps(each) + "\n" for each in (good, bad, good)))
    first, broken, last = SampleReader(tmp_path).read(0)[0]
    assert isinstance(broken, Broken)
    assert first == last == Sample(**good)


def test_order_goes_there_and_back(tmp_path: Path) -> None:
    order = RunOrder(experiment="x", spec={"a": [1, None]}, datasets_folder=tmp_path, cache_folder=tmp_path)
    order.write(tmp_path)
    assert RunOrder.read(tmp_path) == order


def test_integers_beyond_64_bits_keep_every_digit(tmp_path: Path) -> None:
    value = {"large": 2**70, "small": -(2**63) - 1, "fits": 2**64 - 1, "flag": True}
    lines = [wire.encode("result", {"value": value}), wire.encode("metric", {"step": 1, "values": {"a": 2**70}})]
    result, metric = records(tmp_path, b"".join(lines))
    assert result.value == {"large": str(2**70), "small": str(-(2**63) - 1), "fits": 2**64 - 1, "flag": True}
    assert metric.values == {"a": float(2**70)}
