"""The allocator's snapshot as JSON: the state now, the state at the peak, and never more bytes than allowed."""

import json
from pathlib import Path
from typing import Any

import pytest

from experiments.hosting.run_directory import RunDirectory
from experiments.memory import snapshot

MIB = 1 << 20


def frame(name: str, line: int = 1, folder: str = "/srv/lab/site-packages/torch/nn") -> dict[str, Any]:
    return {"filename": f"{folder}/modules.py", "line": line, "name": name}


def block(address: int, size: int, state: str, *frames: dict[str, Any]) -> dict[str, Any]:
    return {"address": address, "size": size, "requested_size": size - 1, "state": state, "frames": list(frames)}


def event(action: str, address: int, size: int, *frames: dict[str, Any]) -> dict[str, Any]:
    return {"action": action, "addr": address, "size": size, "frames": list(frames)}


FOUND = {
    "segments": [
        {
            "address": 1000,
            "total_size": 20 * MIB,
            "allocated_size": 4 * MIB,
            "segment_type": "large",
            "blocks": [
                block(
                    1000, 4 * MIB, "active_allocated", frame("weight"), {"filename": "x.cpp", "line": 1, "name": "c"}
                ),
                block(1000 + 4 * MIB, 16 * MIB, "inactive"),
            ],
        }
    ],
    "device_traces": [
        [
            event("segment_alloc", 1000, 20 * MIB),
            event("alloc", 1000, 4 * MIB, frame("weight")),
            event("alloc", 2000, 8 * MIB, frame("forward")),
            event("alloc", 3000, 6 * MIB, frame("backward")),
            event("free_requested", 2000, 8 * MIB),
            event("free_completed", 2000, 8 * MIB, frame("drop")),
            event("alloc", 4000, MIB // 2, frame("small")),
            event("free_completed", 3000, 6 * MIB),
            event("free_completed", 4000, MIB // 2),
        ]
    ],
}


def test_now_lists_every_block_with_its_state() -> None:
    found = snapshot.now(FOUND)
    assert (found["allocated_bytes"], found["reserved_bytes"]) == (4 * MIB, 20 * MIB)
    live, free = found["segments"][0]["blocks"]
    assert (live["offset_bytes"], live["live"], free["live"]) == (0, True, False)
    assert live["frames"] == ["torch/nn/modules.py:1 weight"]


def test_peak_is_the_moment_with_most_live_bytes_and_names_who_asked() -> None:
    found = snapshot.at_peak(FOUND)
    assert found["allocated_bytes"] == 18 * MIB
    assert [(one["size_bytes"] // MIB, one["frames"][0].split()[-1]) for one in found["blocks"]] == [
        (8, "forward"),
        (6, "backward"),
        (4, "weight"),
    ]


def test_peak_without_a_history_is_now() -> None:
    found = snapshot.at_peak(FOUND | {"device_traces": [[]]})
    assert (found["allocated_bytes"], len(found["blocks"])) == (4 * MIB, 1)


@pytest.mark.parametrize("most_bytes", [100_000, 2_000, 200])
def test_file_is_bounded_and_counts_what_it_leaves_out(most_bytes: int) -> None:
    many = FOUND["segments"] * 200
    text = snapshot.bounded(snapshot.now(FOUND | {"segments": many}), most_bytes)
    found = json.loads(text)
    assert len(text) <= most_bytes
    assert len(found["segments"]) + found.get("left_out", 0) == 200


def test_no_file_holds_a_folder_of_the_machine() -> None:
    assert b"/srv" not in snapshot.bounded(snapshot.now(FOUND))
    assert b"/srv" not in snapshot.bounded(snapshot.at_peak(FOUND))


def test_without_a_gpu_there_is_none_and_a_reason(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    with snapshot.history():
        assert snapshot.keep(run, snapshot.AT_THE_PEAK) == (None, snapshot.NO_GPU)
    run.close()
    assert list((tmp_path / "artifacts").iterdir()) == []
