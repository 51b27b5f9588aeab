"""The flame shows every byte of the peak, and the slider stops only where an answer can be asked for."""

from itertools import pairwise
from random import Random
from typing import Any

import pytest

from tests.unit.dashboard.scripts import run_module

CAUSES = ("parameters", "gradients", "optimizer_state", "activations", "batch", "temporary", "workspace", "buffers")
FLAME = """
const top = module.treeOf(given);
const leaves = ([block]) => block.children.length === 0;
const deepest = module.rowsOf(top).map(([block]) => block).sort((a, b) => b.key.length - a.key.length)[0];
return {
  total: top.total,
  leaves: module.rowsOf(top).filter(leaves).reduce((sum, [block]) => sum + block.total, 0),
  keys: module.rowsOf(top).map(([block]) => block.key),
  names: module.rowsOf(top).map(([block]) => block.name),
  path: module.pathTo(top, deepest.key).map((block) => block.key),
  lost: module.pathTo(top, "model.nowhere"),
  places: module.placesOf(top).map(({ block, from, width, row }) => [block.key, from, width, row]),
};
"""


def peak_of(seed: int) -> dict[str, Any]:
    draw = Random(seed)
    paths = ["", *(f"layer{i}.{k}{part}" for i in range(4) for k in range(9) for part in ("", ".conv", ".bn"))]
    rows: list[dict[str, Any]] = [
        {"path": path, "kind": "Conv2d", "folded": 0, "held_bytes": _held(draw)} for path in draw.sample(paths, 40)
    ] + [{"path": "layer1", "kind": None, "folded": 7, "held_bytes": _held(draw)}]
    rows.append({"path": None, "kind": None, "folded": 0, "held_bytes": _held(draw) | {"batch_bytes": 5}})
    context = {"low_bytes": 1, "likely_bytes": draw.randrange(2**30), "high_bytes": 2**30}
    parts = {f"{cause}_bytes": sum(row["held_bytes"].get(f"{cause}_bytes", 0) for row in rows) for cause in CAUSES}
    rest = {"rounding_bytes": draw.randrange(2**20), "fragmentation_bytes": draw.randrange(2**28)}
    likely = sum((parts | rest).values()) + context["likely_bytes"]
    peak = {"low_bytes": 1, "likely_bytes": likely, "high_bytes": 2**40}
    return {"modules": rows, "parts": parts | rest | {"cuda_context": context}, "peak_device_bytes": peak}


def _held(draw: Random) -> dict[str, int]:
    return {f"{cause}_bytes": draw.randrange(1, 2**24) for cause in draw.sample(CAUSES, 4)}


@pytest.mark.parametrize("seed", range(3))
def test_flame_adds_up_to_the_device_peak_to_the_byte(seed: int) -> None:
    given = peak_of(seed)
    found = run_module("pages/memory/tree.ts", FLAME, given)
    assert found["total"] == found["leaves"] == given["peak_device_bytes"]["likely_bytes"]
    assert len(set(found["keys"])) == len(found["keys"])
    assert {"Images and labels", "Rounding", "Fragmentation", "CUDA context", "7 small modules"} <= set(found["names"])
    assert found["path"][0] == "peak"
    assert found["lost"] is None


def test_blocks_of_a_row_stand_side_by_side_below_what_they_are_in() -> None:
    places = run_module("pages/memory/tree.ts", FLAME, peak_of(9))["places"]
    rows: dict[int, list[tuple[float, float]]] = {}
    for _, start, width, row in places:
        assert width > 0
        rows.setdefault(row, []).append((start, start + width))
    assert rows[0] == [(0, 1)]
    for spans in rows.values():
        spans.sort()
        assert all(end <= start + 1e-9 for (_, end), (start, _) in pairwise(spans))
        assert spans[-1][1] <= 1 + 1e-9


def test_without_parts_or_modules_there_is_no_flame() -> None:
    body = "return given.map((peak) => module.treeOf(peak));"
    whole = peak_of(1)
    unknown = [whole | {"parts": None}, whole | {"modules": None}, whole | {"modules": []}]
    assert run_module("pages/memory/tree.ts", body, unknown) == [None, None, None]


def test_slider_stops_at_powers_of_two_and_at_what_is_known() -> None:
    body = "return given.map(([range, known, largest]) => module.stopsOf(range, known, largest));"
    given = [
        [{"min": 1, "max": 4096}, [48, 48, None], None],
        [{"min": 1, "max": 4096}, [8, 8, 80], 80],
        [{"min": 2, "max": 100}, [7, 100, 673], 673],
        [{"min": 1, "max": 1}, [1], None],
    ]
    assert run_module("pages/memory/stops.ts", body, given) == [
        [1, 2, 4, 8, 16, 32, 48, 64, 128, 256, 512, 1024],
        [1, 2, 4, 8, 16, 32, 64, 80, 128, 256],
        [2, 4, 7, 8, 16, 32, 64, 100],
        [1],
    ]


def test_only_fields_of_the_schema_are_tried_and_only_changes_are_handed_on() -> None:
    schema = {
        "properties": {
            "batch_size": {"type": "integer", "minimum": 1, "maximum": 256, "default": 16},
            "optimizer": {"enum": ["sgd", "adam"], "default": "sgd"},
            "precision": {"enum": ["float32"], "default": "float32"},
        }
    }
    body = """return [module.tryableOf(given), module.changeOf(given, { optimizer: "adam" },
        { optimizer: "adam", batch_size: 32 }), module.changeOf(given, {}, { optimizer: "sgd", batch_size: 16 })];"""
    assert run_module("pages/memory/fields.ts", body, schema) == [
        {
            "batch": {"min": 1, "max": 256},
            "choices": [{"name": "optimizer", "options": ["sgd", "adam"]}],
            "checkpointing": False,
        },
        {"batch_size": 32},
        {},
    ]
