"""The allocator's snapshots as `experiments.memory.snapshot` keeps them, of a GPU that this machine need not have."""

import json
from typing import Any

from experiments.contract import Run

MIB = 2**20
CALLER = "gpulab/training/loop.py:88 step"
HOLDERS = (
    (512, 6, ["torch/nn/modules/conv.py:548 _conv_forward", "torchvision/models/resnet.py:92 forward", CALLER]),
    (192, 4, ["torch/nn/functional.py:2813 batch_norm", "torchvision/models/resnet.py:93 forward", CALLER]),
    (98, 5, ["torch/optim/adamw.py:151 _init_group", "torch/optim/optimizer.py:493 wrapper", CALLER]),
    (64, 3, ["torch/nn/modules/linear.py:125 forward", "torchvision/models/resnet.py:280 forward", CALLER]),
    (24, 1, []),
)
"""MiB of a block, how many of them, and who asked."""


def keep(run: Run) -> None:
    """Write both: what was held at the peak, and where it lay when memory ran out."""
    blocks = [{"size_bytes": size * MIB, "frames": frames} for size, count, frames in HOLDERS for _ in range(count)]
    held = sum(block["size_bytes"] for block in blocks)  # type: ignore[misc]
    peak = {"moment": "peak", "allocated_bytes": held + 9 * MIB, "blocks": blocks, "smaller_blocks": 212}
    segments = [_segment(place, size, count, frames) for place, (size, count, frames) in enumerate(HOLDERS)]
    out = {
        "moment": "now",
        "allocated_bytes": sum(segment["allocated_bytes"] for segment in segments),
        "reserved_bytes": sum(segment["size_bytes"] for segment in segments),
        "segments": segments,
    }
    for name, state in (("allocator-peak.json", peak), ("allocator-out-of-memory.json", out)):
        with run.artifact(name) as path:
            path.write_text(json.dumps(state))


def _segment(place: int, size: int, count: int, frames: list[str]) -> dict[str, Any]:
    """Blocks side by side; every third was given back and is free."""
    blocks = [
        {
            "offset_bytes": number * size * MIB,
            "size_bytes": size * MIB,
            "requested_bytes": size * MIB,
            "live": number % 3 != 2,
            "frames": frames,
        }
        for number in range(count)
    ]
    allocated = sum(size * MIB for block in blocks if block["live"])
    total = count * size * MIB
    return {
        "address": place << 32,
        "size_bytes": total,
        "allocated_bytes": allocated,
        "pool": "large",
        "blocks": blocks,
    }
