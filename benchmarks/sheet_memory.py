"""What PyTorch's allocator on an emulated T4 makes of the homework's readings: a Tesla T4 of 2023, torch before 2.0."""

from collections.abc import Iterator
from typing import Any

from experiments.memory.contract import Workload
from experiments.memory.predictor import predict
from gpulab.schemas.memory import Prediction

MIB = 1 << 20
CONTEXT_MIB = 814 - 222
"""The sheet's reading with the model in place, less the model."""
OPTIMIZERS_MIB = {"sgd": 3192, "sgd_momentum": 3274, "adam": 3358}
BATCHES_MIB = {4: 1624, 16: 1706, 64: 2738, 256: 8744}


def measure() -> dict[str, Any]:
    """The emulated card beside every reading of the sheet, in MiB. The process must be able to predict."""
    return {
        "context_mib": CONTEXT_MIB,
        "optimizers": list(_optimizers()),
        "batches": list(_batches()),
    }


def _predicted(**fields: Any) -> Prediction:
    # torch 1.13, of the sheet's spring, updated one parameter at a time.
    return predict(Workload.model_validate({"implementation": "for_loop", **fields}))


def _reserved_mib(found: Prediction, phase: str) -> int:
    return next(level.reserved_bytes for level in found.phases or () if level.phase == phase) // MIB


def _optimizers() -> Iterator[dict[str, Any]]:
    """After the first and the second step of ResNet-152 at batch 8."""
    for optimizer, device_mib in OPTIMIZERS_MIB.items():
        fields: dict[str, Any] = {"model": "resnet152", "batch_size": 8, "optimizer": optimizer}
        found, foreach = _predicted(**fields), _predicted(**fields, implementation="foreach")
        yield {
            "optimizer": optimizer,
            "sheet_device_mib": device_mib,
            "reserved_after_step_mib": _reserved_mib(found, "step"),
            "reserved_after_step_foreach_mib": _reserved_mib(foreach, "step"),
            "reserved_after_second_step_mib": _reserved_mib(found, "second_step"),
        }


def _batches() -> Iterator[dict[str, Any]]:
    """Two steps and an evaluation of ResNet-18 with momentum."""
    for batch_size, device_mib in BATCHES_MIB.items():
        fields = {"batch_size": batch_size, "evaluation_batch_size": batch_size, "optimizer": "sgd_momentum"}
        found = _predicted(model="resnet18", **fields)
        forward = next(level.allocated_bytes for level in found.phases or () if level.phase == "forward")
        yield {
            "batch_size": batch_size,
            "sheet_device_mib": device_mib,
            "peak_allocated_mib": round(found.peak_allocated_bytes / MIB, 1),
            "peak_reserved_mib": found.peak_reserved_bytes // MIB,
            "forward_allocated_mib": round(forward / MIB, 1),
        }
