"""What the worker can say of a run that the watchdog ended."""

import json
from pathlib import Path

import pytest

from experiments.hosting.run_directory import RunDirectory
from experiments.memory.snapshot import AT_THE_PEAK
from worker.measuring.sampler import Breach
from worker.runs.advice import SNAPSHOT, of_breach
from worker.runs.folder import RunFolder

MIB = 2**20
BREACH = Breach("job-1", "GPU-1", 300 * MIB, 200 * MIB, 900 * MIB, 1000 * MIB, 1_700_000_000.5)


def test_run_that_outgrew_its_reservation_is_told_what_was_known_of_it(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.phase("model")
    run.memory(allocated_bytes=1, reserved_bytes=2)
    run.phase("backward")
    run.memory(allocated_bytes=150 * MIB, reserved_bytes=180 * MIB)
    run.metrics(1, {"loss": 1.0})
    blocks = [{"size_bytes": size * MIB, "frames": [f"a.py:{size} forward", "b.py:1 run"]} for size in range(1, 20)]
    with run.artifact(AT_THE_PEAK) as path:
        path.write_text(json.dumps({"moment": "peak", "blocks": blocks}))
    run.close()
    found = of_breach(BREACH, RunFolder(tmp_path))

    assert (found.ended_by, found.device, found.phase, found.inside_reservation) == (
        "watchdog",
        "cuda",
        "backward",
        False,
    )
    assert (found.limit_bytes, found.process_used_bytes) == (200 * MIB, 300 * MIB)
    assert (found.device_used_bytes, found.device_total_bytes) == (900 * MIB, 1000 * MIB)
    assert (found.allocated_bytes, found.reserved_bytes, found.fragmentation_bytes) == (150 * MIB, 180 * MIB, 30 * MIB)
    assert found.at is not None
    assert found.at.timestamp() == BREACH.time
    assert [tensor.size_bytes // MIB for tensor in found.largest_tensors] == [*range(19, 9, -1)]
    assert found.largest_tensors[0].name == "a.py:19 forward"
    assert found.snapshot == SNAPSHOT == AT_THE_PEAK


@pytest.mark.parametrize("records", ["", '{"time":1,"type":"phase","name":"forw'])
def test_every_null_has_its_reason(tmp_path: Path, records: str) -> None:
    (tmp_path / "records.ndjson").write_text(records)
    found = of_breach(BREACH, RunFolder(tmp_path))
    nulls = {name for name, value in found.model_dump(exclude={"claimed_by_program"}).items() if value in (None, [])}
    assert nulls == found.reasons.keys()


def test_figures_of_a_program_that_outgrew_its_reservation_are_marked_as_its_own(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, is_sandboxed=True)
    folder.written_by_run.mkdir(parents=True, exist_ok=True)
    run = RunDirectory(folder.written_by_run)
    run.phase("backward")
    run.memory(allocated_bytes=150, reserved_bytes=180)
    run.close()
    found = of_breach(BREACH, folder)
    assert found.claimed_by_program == ["phase", "allocated_bytes", "reserved_bytes", "fragmentation_bytes"]
    assert of_breach(BREACH, RunFolder(tmp_path / "none", is_sandboxed=True)).claimed_by_program == []
