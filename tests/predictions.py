"""Answers of the predictor as JSON, for tests to which their numbers do not matter."""

from typing import Any

PARTS = (
    "parameters", "buffers", "batch", "gradients", "optimizer_state", "activations", "temporary", "workspace",
    "rounding", "fragmentation",
)  # fmt: skip


def prediction(peak_device_bytes: dict[str, int], **changes: Any) -> dict[str, Any]:
    """A `gpulab.schemas.memory.Prediction`."""
    return {
        "card": "T4",
        "torch_version": "2.14.1",
        "peak_allocated_bytes": 1,
        "peak_reserved_bytes": 1,
        "peak_device_bytes": peak_device_bytes,
        "peak_phase": "backward",
        "parts": {f"{name}_bytes": 1 for name in PARTS} | {"cuda_context": peak_device_bytes},
        "phases": [],
    } | changes


def verdict(peak_device_bytes: dict[str, int], **changes: Any) -> dict[str, Any]:
    """A `gpulab.schemas.memory.GpuVerdict`."""
    return (
        prediction(peak_device_bytes)
        | {
            "name": "Tesla T4",
            "model": "T4",
            "total_bytes": 2**34,
            "verdict": "fits",
            "certain": True,
            "max_batch_size": 1,
            "max_batch_size_without_retries": 1,
            "edits": [],
            "constants": {"source": "default", "cuda_context": peak_device_bytes, "measured": None},
        }
        | changes
    )
