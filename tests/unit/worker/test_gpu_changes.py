"""What the lab says of GPUs that came and went between two starts of a worker."""

from typing import Any

import pytest

from worker.gpu_changes import NOT_FOUND, changes


def gpu(uuid: str, index: int = 0, *, name: str = "Tesla T4", healthy: bool = True, reason: str | None = None) -> Any:
    return {"uuid": uuid, "index": index, "name": name, "healthy": healthy, "reason": reason}


A, B, C = gpu("GPU-a"), gpu("GPU-b", 1), gpu("GPU-c", 1, name="NVIDIA L4")
T4, L4 = gpu("GPU-t4", name="emulated T4"), gpu("GPU-l4", name="emulated L4")
MIG_1, MIG_2 = gpu("MIG-1"), gpu("MIG-2")
BROKEN = gpu("unknown-1@n1", 1, name="unknown", healthy=False, reason="NVML: Unknown Error")


@pytest.mark.parametrize(
    ("before", "now", "divided", "gone", "missing", "new"),
    [
        pytest.param([], [A, B], (), [], [], [], id="the first start"),
        pytest.param([A, B], [A, B], (), [], [], [], id="as before"),
        pytest.param([A, B], [B | {"index": 0}], (), [], ["GPU-a"], [], id="one was taken out and the other moved up"),
        pytest.param([A, B], [], (), [], ["GPU-a", "GPU-b"], [], id="no driver"),
        pytest.param([A], [A, B], (), [], [], ["GPU-b"], id="one was added"),
        pytest.param([A, B], [A, C], (), ["GPU-b"], [], ["GPU-c"], id="one was exchanged"),
        pytest.param([A, B], [A, BROKEN], (), [], ["GPU-b"], ["unknown-1@n1"], id="one is too broken to tell its name"),
        pytest.param([A, BROKEN], [A, B], (), ["unknown-1@n1"], [], ["GPU-b"], id="and was repaired"),
        pytest.param([T4], [], (), ["GPU-t4"], [], [], id="an emulated card was switched off"),
        pytest.param([T4, A], [L4], (), ["GPU-t4"], ["GPU-a"], ["GPU-l4"], id="an emulated card replaces no real one"),
        pytest.param([A], [MIG_1, MIG_2], ("GPU-a",), ["GPU-a"], [], ["MIG-1", "MIG-2"], id="MIG was turned on"),
        pytest.param([MIG_1, MIG_2], [A], (), ["MIG-1", "MIG-2"], [], ["GPU-a"], id="MIG was turned off"),
        pytest.param([MIG_1, B], [MIG_2], ("GPU-a",), ["MIG-1"], ["GPU-b"], ["MIG-2"], id="instances were made anew"),
    ],
)  # fmt: skip
def test_gpus_that_are_not_there_are_gone_or_missing(
    before: list[Any], now: list[Any], divided: tuple[str, ...], gone: list[str], missing: list[str], new: list[str]
) -> None:
    found = changes(before, now, divided)
    uuids = [[row["uuid"] for row in rows] for rows in (found.gone, found.missing, found.new)]
    assert uuids == [gone, missing, new]


def test_missing_card_is_named_once() -> None:
    assert changes([A, B], [A], ()).words == "missing: GPU 1 (Tesla T4, GPU-b)"
    assert changes([A, B | {"reason": f"{NOT_FOUND}: no driver"}], [A], ()).words == ""


def test_sentence_names_what_went_and_what_came() -> None:
    words = changes([T4], [L4], ()).words
    assert words == "gone: GPU 0 (emulated T4, GPU-t4); new: GPU 0 (emulated L4, GPU-l4)"
