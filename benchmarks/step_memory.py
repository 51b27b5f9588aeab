"""`python -m benchmarks.step_memory`: what two training steps take on every emulated card, by PyTorch's own allocator.

Ten cases, each in its own process, so that a real card, which takes the same cases, has the same history.
The bytes go to benchmarks/results/emulated-steps.json; `benchmarks.real_gpu` puts a real card's beside them.
"""

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
    """The cases on the GPU of this process, which has not used it: bytes, or null where the card cannot take the step.

    Each runs in its own process, so that no history shifts the allocator's blocks.
    """
    from experiments.catalog.max_batch.run import peaks_of_steps  # noqa: F401 - loaded once for all processes
    from experiments.memory.processes import each

    return list(each(_measured, [(case,) for case in cases], max_parallel=1))


def _measured(case: dict[str, Any]) -> dict[str, Any]:
    import torch

    from experiments.catalog.max_batch.run import peaks_of_steps
    from experiments.memory.contract import Workload

    try:
        allocated, reserved = peaks_of_steps(Workload.model_validate(case), "cuda")
    except RuntimeError:
        # Out of memory, or no kernel of the card can compute it, such as some convolutions in bfloat16 on a T4.
        return case | dict.fromkeys(("allocated_bytes", "reserved_bytes", "device_used_bytes"))
    free, total = torch.cuda.mem_get_info()
    return case | {"allocated_bytes": allocated, "reserved_bytes": reserved, "device_used_bytes": total - free}


def on_card(
    name: str | None, cases: Sequence[dict[str, Any]] = CASES, limit_seconds: float = LIMIT_SECONDS
) -> list[dict[str, Any]]:
    """The same below another process, on the emulated card of that name or on the machine's own GPU."""
    here = [sys.executable, "-m", "benchmarks.step_memory", "--here"]
    command = here if name is None else [sys.executable, "-m", "emulator", name, "--", *here]
    done = subprocess.run(
        command, input=json.dumps(cases), capture_output=True, text=True, timeout=limit_seconds, check=True
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
