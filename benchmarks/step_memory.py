"""`python -m benchmarks.step_memory`: what two training steps take on every emulated card, by PyTorch's own allocator.

Ten cases in one process a card, so that a real card, which runs the same ones in the same order, has the same history.
The bytes go to benchmarks/results/emulated-steps.json; `benchmarks.real_gpu` puts a real card's beside them.
"""

import gc
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine
from emulator.cards import CARDS

RESULTS = Path(__file__).parent / "results" / "emulated-steps.json"
LIMIT_SECONDS = 280
CASES: tuple[dict[str, Any], ...] = (
    {"model": "resnet18", "batch_size": 4, "optimizer": "sgd_momentum"},
    {"model": "resnet18", "batch_size": 16, "optimizer": "sgd_momentum"},
    {"model": "resnet18", "batch_size": 64, "optimizer": "sgd_momentum"},
    {"model": "resnet18", "batch_size": 256, "optimizer": "sgd_momentum"},
    {"model": "resnet152", "batch_size": 8, "optimizer": "sgd"},
    {"model": "resnet152", "batch_size": 8, "optimizer": "sgd_momentum"},
    {"model": "resnet152", "batch_size": 8, "optimizer": "adam"},
    {"model": "vit_b_16", "batch_size": 16, "optimizer": "adam"},
    {"model": "mobilenet_v3_large", "batch_size": 64, "optimizer": "sgd_momentum", "precision": "float16"},
    {"model": "convnext_tiny", "batch_size": 16, "optimizer": "adamw"},
)


def measure(cases: Sequence[dict[str, Any]] = CASES) -> list[dict[str, Any]]:
    """The cases on the GPU of this process: bytes, or null where they did not fit."""
    import torch

    from experiments.catalog.max_batch.run import _peaks_of_steps
    from experiments.memory.contract import Workload

    found = []
    for case in cases:
        gc.collect()
        torch.cuda.empty_cache()
        try:
            allocated, reserved = _peaks_of_steps(Workload.model_validate(case), "cuda")
            free, total = torch.cuda.mem_get_info()
            bytes_of = {"allocated_bytes": allocated, "reserved_bytes": reserved, "device_used_bytes": total - free}
        except torch.OutOfMemoryError:
            bytes_of = dict.fromkeys(("allocated_bytes", "reserved_bytes", "device_used_bytes"))
        found.append(case | bytes_of)
    return found


def on_card(name: str) -> list[dict[str, Any]]:
    """The same in a process of its own, on the emulated card of that name."""
    command = [sys.executable, "-m", "emulator", name, "--", sys.executable, "-m", "benchmarks.step_memory", "--here"]
    done = subprocess.run(
        command, input=json.dumps(CASES), capture_output=True, text=True, timeout=LIMIT_SECONDS, check=True
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def main(arguments: list[str]) -> int:
    if arguments == ["--here"]:
        print(json.dumps(measure(json.load(sys.stdin))))
        return 0
    cards = {}
    for name in arguments or CARDS:
        print(name, file=sys.stderr)
        cards[name] = on_card(name)
    RESULTS.write_text(json.dumps({"machine": machine.describe(), "cards": cards}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
