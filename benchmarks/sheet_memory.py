"""What the replay makes of the homework's readings: a Tesla T4 of 2023, torch before 2.0, MiB of a device."""

from collections.abc import Iterator
from typing import Any

from experiments.memory.contract import Workload
from experiments.memory.devices import CONVOLUTION_SCRATCH_HIGH_BYTES, CUBLAS_WORKSPACE_BYTES, MIB
from experiments.memory.step import trace_steps
from experiments.memory.trace import Replay, Trace, replay

CONTEXT_MIB = 814 - 222
"""The sheet's reading with the model in place, less the model."""
OPTIMIZERS_MIB = {"sgd": 3192, "sgd_momentum": 3274, "adam": 3358}
BATCHES_MIB = {4: 1624, 16: 1706, 64: 2738, 256: 8744}
SCRATCH_MIB = (0, 64, 128, 256, 512, 1024)
HIGH_MIB = CONVOLUTION_SCRATCH_HIGH_BYTES // MIB


def measure() -> dict[str, Any]:
    """The replays beside every reading of the sheet, in MiB."""
    return {
        "context_mib": CONTEXT_MIB,
        "optimizers": list(_optimizers()),
        "batches": list(_batches()),
        "slope": _slope(),
    }


def _trace(**fields: Any) -> Trace:
    # torch 1.13, of the sheet's spring, updated one parameter at a time.
    workload = Workload.model_validate({"implementation": "for_loop", **fields})
    return trace_steps(workload, cublas_workspace_bytes=CUBLAS_WORKSPACE_BYTES)


def _reserved_mib(replayed: Replay, phase: str) -> int:
    return next(level.reserved_bytes for level in replayed.levels if level.phase == phase) // MIB


def _optimizers() -> Iterator[dict[str, Any]]:
    """Reserved after the first and the second step of ResNet-152 at batch 8."""
    for optimizer, device_mib in OPTIMIZERS_MIB.items():
        fields: dict[str, Any] = {"model": "resnet152", "batch_size": 8, "optimizer": optimizer}
        trace, foreach = _trace(**fields), _trace(**fields, implementation="foreach")
        replays = {size: replay(trace, scratch_bytes=size * MIB) for size in SCRATCH_MIB}
        levels = {level.phase: level for level in replays[0].levels}
        yield {
            "optimizer": optimizer,
            "sheet_device_mib": device_mib,
            "allocated_after_step_mib": round(levels["step"].allocated_bytes / MIB, 1),
            "reserved_after_step_mib": {str(size): _reserved_mib(found, "step") for size, found in replays.items()},
            "reserved_after_second_step_mib": _reserved_mib(replays[0], "second_step"),
            "reserved_after_step_foreach_mib": _reserved_mib(replay(foreach), "step"),
        }


def _batches() -> Iterator[dict[str, Any]]:
    """Reserved over two steps and an evaluation of ResNet-18 with momentum."""
    for batch_size, device_mib in BATCHES_MIB.items():
        fields = {"batch_size": batch_size, "evaluation_batch_size": batch_size, "optimizer": "sgd_momentum"}
        trace = _trace(model="resnet18", **fields)
        without, with_scratch = (replay(trace, scratch_bytes=size * MIB) for size in (0, HIGH_MIB))
        yield {
            "batch_size": batch_size,
            "sheet_device_mib": device_mib,
            "peak_allocated_mib": round(without.peak_allocated_bytes / MIB, 1),
            "peak_reserved_mib": without.peak_reserved_bytes // MIB,
            "peak_reserved_with_scratch_mib": with_scratch.peak_reserved_bytes // MIB,
        }


def _slope() -> dict[str, float]:
    """MiB an image of ResNet-18 adds from batch 64 to 256."""
    small, large = (replay(_trace(model="resnet18", batch_size=size, optimizer="sgd_momentum")) for size in (64, 256))
    forward = [next(level for level in found.levels if level.phase == "forward") for found in (small, large)]
    images = (256 - 64) * MIB
    return {
        "forward_allocated_mib": (forward[1].allocated_bytes - forward[0].allocated_bytes) / images,
        "peak_allocated_mib": (large.peak_allocated_bytes - small.peak_allocated_bytes) / images,
        "peak_reserved_mib": (large.peak_reserved_bytes - small.peak_reserved_bytes) / images,
        "sheet_mib": (BATCHES_MIB[256] - BATCHES_MIB[64]) / (256 - 64),
    }
