import json
from pathlib import Path
from typing import Any

import pytest

from experiments.hosting.record_reader import Broken, RecordReader
from experiments.hosting.wire import Failed, Succeeded
from gpulab.schemas.memory import OutOfMemoryRead
from gpulab.states import FailureCause
from worker.programs.records import (
    MAX_BROKEN,
    MAX_FILES,
    MAX_LEVELS,
    MAX_METRICS,
    MAX_WARNINGS,
    distrust,
    own_ending,
)
from worker.shipping.batch import Batch


def lines(folder: Path, *records: dict[str, Any], max_files_bytes: int = 0) -> list[Any]:
    text = "".join(json.dumps({"time": 1.0} | record) + "\n" for record in records)
    (folder / "records.ndjson").write_text(text)
    return RecordReader(folder, distrust(0, max_files_bytes)).read(0)[0]


@pytest.mark.parametrize(
    "record",
    [
        {"type": "prediction", "peak_bytes": 1},
        {"type": "disturbed", "message": "the machine failed"},
        {"type": "error", "message": "no", "cause": "lost"},
        {"type": "error", "message": "no", "cause": "gpu_fault"},
        {"type": "error", "message": "no", "cause": "time_limit"},
        {"type": "error", "message": "no", "cause": "limit_exceeded"},
        {"type": "warning", "message": "x" * 1500, "more": "y" * 2**20},
        {"type": "usage", "gpu_hours": 0},
        {"type": "artifact", "name": "../../etc/passwd", "size_bytes": 1, "sha256": "0" * 64},
        {"type": "memory", **{f"level{number}_bytes": 1 for number in range(17)}},
        {"type": "memory", "n" * 95 + "_bytes": 1},
        {"type": "started", "versions": {"torch": "2" * 101}},
        {"type": "started", "versions": {"t" * 101: "2"}},
        {"type": "started", "device": "c" * 101},
    ],
)
def test_a_program_says_nothing_that_only_the_lab_says(tmp_path: Path, record: dict[str, Any]) -> None:
    metric = {"type": "metric", "step": 1, "values": {"loss": 0.5}}
    first, second = lines(tmp_path, record, metric)
    assert isinstance(first, Broken)
    assert not isinstance(second, Broken), "the next line is read all the same"


def test_file_that_its_program_locked_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "records.ndjson").write_text('{"type": "result", "time": 1.0, "value": {}}\n')
    assert RecordReader(tmp_path, distrust(0)).ending() is not None

    # A real one would not be locked for root.
    def refused(*_: Any) -> int:
        raise PermissionError("records.ndjson")

    monkeypatch.setattr("experiments.hosting.record_reader.os.open", refused)
    assert RecordReader(tmp_path, distrust(0)).ending() is None


@pytest.mark.parametrize("cause", ["error", "out_of_memory", "diverged", "cannot_fit"])
def test_its_own_failure_is_its_own_to_tell(tmp_path: Path, cause: str) -> None:
    (found,) = lines(tmp_path, {"type": "error", "message": "no", "cause": cause})
    assert isinstance(found, Failed)


def test_an_ending_that_it_may_not_claim_is_no_ending(tmp_path: Path) -> None:
    lines(tmp_path, {"type": "disturbed", "message": "again, please"})
    assert RecordReader(tmp_path, distrust(0)).ending() is None
    assert RecordReader(tmp_path).ending() is not None, "a job of the catalogue may"


def test_counts_are_bounded(tmp_path: Path) -> None:
    file = {"type": "artifact", "size_bytes": 1, "sha256": "0" * 64}
    found = lines(
        tmp_path,
        *({"type": "warning", "message": str(number)} for number in range(MAX_WARNINGS + 5)),
        *(file | {"name": f"f{number}"} for number in range(MAX_FILES + 3)),
        {"type": "metric", "step": 1, "values": {f"m{number}": 1 for number in range(MAX_METRICS + 1)}},
    )
    assert sum(isinstance(each, Broken) for each in found) == 5 + 3 + 1


def test_names_of_levels_are_bounded_over_all_readings(tmp_path: Path) -> None:
    """A table of all readings by all names would take more memory than there is."""
    readings = [{"type": "memory", f"level{number}_bytes": 1} for number in range(1000)]
    found = lines(tmp_path, *readings, {"type": "memory", "level3_bytes": 2})
    batch = Batch()
    batch.add(each for each in found if not isinstance(each, Broken))
    (row,) = batch.sample_rows()
    assert len(row["values"]) == MAX_LEVELS
    assert not isinstance(found[-1], Broken)


def test_files_that_take_no_room_on_the_disk_are_bounded_too(tmp_path: Path) -> None:
    file = {"type": "artifact", "name": "a", "size_bytes": 60, "sha256": "0" * 64}
    checkpoint = {"type": "checkpoint", "step": 1, "name": "c1", "size_bytes": 30, "sha256": "0" * 64}
    records = (file, file | {"name": "b"}, checkpoint, checkpoint | {"name": "c2"}, file | {"size_bytes": 5}, file)
    found = lines(tmp_path, *records, max_files_bytes=100)
    assert [isinstance(each, Broken) for each in found] == [False, True, False, False, False, False]
    assert "may take 100 bytes together" in found[1].reason


def test_long_run_may_save_as_many_checkpoints_as_it_likes(tmp_path: Path) -> None:
    checkpoint = {"type": "checkpoint", "size_bytes": 1, "sha256": "0" * 64}
    found = lines(tmp_path, *(checkpoint | {"step": n, "name": f"step-{n}.ckpt"} for n in range(2 * MAX_FILES)))
    assert not any(isinstance(each, Broken) for each in found)


def test_a_line_that_is_read_again_counts_once(tmp_path: Path) -> None:
    """The shipper reads a part again when the database was away."""
    records = [{"type": "warning", "message": str(number), "time": 1} for number in range(MAX_WARNINGS)]
    lines(tmp_path, *records)
    reader = RecordReader(tmp_path, distrust(0))
    for _ in range(3):
        assert not any(isinstance(each, Broken) for each in reader.read(0)[0])


def test_flood_of_lines_that_are_no_records_is_not_read_to_its_end(tmp_path: Path) -> None:
    metric = b'{"time":1,"type":"metric","step":1,"values":{"loss":1}}\n'
    (tmp_path / "records.ndjson").write_bytes(metric + b"{}\n" * 200_000 + metric)
    reader = RecordReader(tmp_path, distrust(0))
    found, at = reader.read(0)
    assert len(found) == 1 + MAX_BROKEN
    assert reader.read(at) == ([], at)
    assert len(list(RecordReader(tmp_path, distrust(0)).every())) == 1


def test_nothing_beyond_the_limit_is_read(tmp_path: Path) -> None:
    line = b'{"time":1,"type":"metric","step":1,"values":{"loss":1}}\n'
    (tmp_path / "records.ndjson").write_bytes(line * 10)
    reader = RecordReader(tmp_path, distrust(5 * len(line) + 3))
    found, at = reader.read(0)
    assert len(found) == 5
    assert reader.read(at) == ([], at)


LIE = {
    "device": "cuda",
    "ended_by": "watchdog",
    "phase": "backward",
    "module": None,
    "requested_bytes": 7,
    "allocated_bytes": 5,
    "reserved_bytes": 6,
    "fragmentation_bytes": 1,
    "process_used_bytes": 9,
    "device_used_bytes": None,
    "device_total_bytes": None,
    "limit_bytes": 10,
    "inside_reservation": False,
    "largest_tensors": [],
    "predicted_peak_bytes": 8,
    "edits": [
        {
            "change": {"batch_size": 1},
            "reason": "trust me",
            "peak_device_bytes": {"low_bytes": 1, "likely_bytes": 2, "high_bytes": 3},
            "fits": True,
        }
    ],
    "snapshot": None,
    "claimed_by_program": [],
    "reasons": {"module": "none was running"},
}


def test_explanation_of_a_program_keeps_its_figures_as_its_own_and_none_of_the_labs() -> None:
    said = Failed(type="error", message="CUDA out of memory", cause=FailureCause.OUT_OF_MEMORY, failure=LIE)
    assert said.failure is not None
    found = own_ending(said)
    assert isinstance(found, Failed)
    failure = OutOfMemoryRead.model_validate(found.failure)
    assert (failure.ended_by, failure.process_used_bytes, failure.predicted_peak_bytes) == ("allocator", None, None)
    assert failure.edits == []
    assert (failure.requested_bytes, failure.allocated_bytes) == (7, 5)
    assert failure.claimed_by_program == [
        "phase",
        "requested_bytes",
        "allocated_bytes",
        "reserved_bytes",
        "fragmentation_bytes",
        "limit_bytes",
        "inside_reservation",
    ]
    assert failure.reasons.keys() == {"module", "predicted_peak_bytes", "edits"}


def test_other_ends_of_a_program_are_as_it_says() -> None:
    for ending in (None, Succeeded(type="result", value={"x": 1}), Failed(type="error", message="no")):
        assert own_ending(ending) == ending


@pytest.mark.parametrize(
    "value",
    [
        {"deep": {"er": 1}},
        {"list": [1]},
        {"text": "x" * 1001},
        {f"f{number}": 1 for number in range(201)},
        {"": 1},
    ],
)
def test_result_that_no_host_would_write_is_refused_by_its_field(value: dict[str, Any]) -> None:
    found = own_ending(Succeeded(type="result", value=value))
    assert isinstance(found, Failed)
    assert found.message.startswith("its result is refused: ")


def test_message_of_a_program_is_cut() -> None:
    found = own_ending(Failed(type="error", message="x" * 2**20))
    assert isinstance(found, Failed)
    assert found.message == "x" * 2000
