"""How far a predicted peak is from that of a real step on the CPU, and what the replay makes of the sheet's readings.

`python -m benchmarks.estimate_error` prints the tables and writes `benchmarks/results/estimate-error.json`. Pictures
are small, so that real steps of many models end in minutes; the prediction does the same whatever their size.
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import machine
from experiments.memory.advice import max_batch
from experiments.memory.contract import Workload
from experiments.memory.devices import CONVOLUTION_SCRATCH_HIGH_BYTES, CUBLAS_WORKSPACE_BYTES, GPUS, MIB
from experiments.memory.measured import measure_steps
from experiments.memory.step import trace_steps
from experiments.memory.trace import Replay, replay, tensor_peak

RESULTS = Path(__file__).parent / "results" / "estimate-error.json"
IMAGE_SIZE = 64
MODELS = (
    "resnet18", "resnet34", "resnet50", "resnet101", "resnext50_32x4d", "vgg11", "vgg11_bn", "densenet121",
    "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "efficientnet_b0", "efficientnet_v2_s",
    "regnet_y_400mf", "regnet_x_1_6gf", "convnext_tiny", "vit_b_32", "swin_t", "swin_v2_t", "squeezenet1_1",
    "shufflenet_v2_x1_0", "mnasnet1_0", "googlenet",
)  # fmt: skip
BATCH_SIZES = (2, 5, 12)
OPTIMIZERS = ("sgd", "sgd_momentum", "adam")
SHEET_CONTEXT_MIB = 592
SHEET_OPTIMIZERS_MIB = {"sgd": 3192, "sgd_momentum": 3274, "adam": 3358}
SHEET_BATCHES_MIB = {4: 1624, 16: 1706, 64: 2738, 256: 8744}
COLD = """
import sys, time, torch
from experiments.memory.contract import Workload
from experiments.memory.estimate import estimate
torch.set_num_threads(1)
wall, cpu = time.perf_counter(), time.process_time()
estimate(Workload(model="resnet152", batch_size=8, optimizer=sys.argv[1]), "T4")
print(time.perf_counter() - wall, time.process_time() - cpu)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three models, nothing written")
    quick = parser.parse_args().quick
    # A second thread would spin beside whatever else the machine does.
    torch.set_num_threads(1)
    rows = list(_compare(MODELS[:3] if quick else MODELS))
    found = {
        "machine": machine.describe(),
        "commit": machine.commit(),
        "load": machine.load(),
        "summary": _summary(rows),
        "rows": rows,
        "sheet": {"optimizers": _sheet_optimizers(), "batches": _sheet_batches(), "slope": _slope()},
        "largest_batches": _largest_batches(),
        "cold_seconds": {optimizer: _cold(optimizer) for optimizer in OPTIMIZERS},
    }
    print(json.dumps({key: value for key, value in found.items() if key not in {"rows", "machine"}}, indent=2))
    if not quick:
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")


def _compare(models: Sequence[str]) -> Iterator[dict[str, Any]]:
    for model, batch_size, optimizer in itertools.product(models, BATCH_SIZES, OPTIMIZERS):
        workload = Workload(model=model, image_size=IMAGE_SIZE, batch_size=batch_size, optimizer=optimizer)
        started = time.perf_counter()
        predicted = tensor_peak(trace_steps(workload, "cpu"))
        seconds = time.perf_counter() - started
        measured = measure_steps(workload)
        error = predicted.requested_bytes / measured.peak_tensor_bytes - 1
        print(f"{model:20} {batch_size:3} {optimizer:13} {measured.peak_tensor_bytes:12} {error:+.4%}", flush=True)
        yield {
            "model": model,
            "batch_size": batch_size,
            "optimizer": optimizer,
            "predicted_bytes": predicted.requested_bytes,
            "measured_bytes": measured.peak_tensor_bytes,
            "measured_with_scratch_bytes": measured.peak_bytes,
            "relative_error": error,
            "predicted_phase": predicted.phase,
            "predict_seconds": round(seconds, 3),
        }


def _summary(rows: list[dict[str, Any]]) -> dict[str, float]:
    errors = [row["relative_error"] for row in rows]
    sizes = [abs(error) for error in errors]
    scratch = [row["measured_with_scratch_bytes"] / row["measured_bytes"] - 1 for row in rows]
    return {
        "comparisons": len(rows),
        "models": len({row["model"] for row in rows}),
        "median_absolute_error": statistics.median(sizes),
        "p95_absolute_error": float(np.percentile(sizes, 95)),
        "largest_over": max(errors),
        "largest_under": min(errors),
        "within_kilobyte": sum(abs(row["predicted_bytes"] - row["measured_bytes"]) < 1024 for row in rows),
        "median_scratch_share": statistics.median(scratch),
        "p95_scratch_share": float(np.percentile(scratch, 95)),
    }


def _as_in_2023(scratch_bytes: int = 0, /, **fields: Any) -> Replay:
    # torch 1.13, of the sheet's spring, updated one parameter at a time.
    workload = Workload.model_validate({"implementation": "for_loop", **fields})
    return replay(trace_steps(workload, cublas_workspace_bytes=CUBLAS_WORKSPACE_BYTES), scratch_bytes=scratch_bytes)


def _sheet_optimizers() -> list[dict[str, Any]]:
    """Reserved MiB after the first and the second step of ResNet-152 at batch 8, by optimizer."""
    rows = []
    for optimizer, device_mib in SHEET_OPTIMIZERS_MIB.items():
        row: dict[str, Any] = {"optimizer": optimizer, "sheet_device_mib": device_mib}
        fields: dict[str, Any] = {"model": "resnet152", "batch_size": 8, "optimizer": optimizer}
        cases = {
            "for_loop": _as_in_2023(**fields),
            "for_loop_512_mib_scratch": _as_in_2023(CONVOLUTION_SCRATCH_HIGH_BYTES, **fields),
            "foreach": _as_in_2023(**fields, implementation="foreach"),
        }
        for case, replayed in cases.items():
            levels = {level.phase: level for level in replayed.levels}
            row[case] = {
                "reserved_after_step_mib": levels["step"].reserved_bytes / MIB,
                "reserved_after_second_step_mib": levels["second_step"].reserved_bytes / MIB,
                "allocated_after_step_mib": round(levels["step"].allocated_bytes / MIB, 1),
                "peak_allocated_mib": round(replayed.peak_allocated_bytes / MIB, 1),
            }
        rows.append(row)
    return rows


def _sheet_batches() -> list[dict[str, Any]]:
    """Device MiB of ResNet-18 with momentum by batch size: the sheet's context and reserved, scratch in or out."""
    rows = []
    for batch_size, device_mib in SHEET_BATCHES_MIB.items():
        fields: dict[str, Any] = {
            "model": "resnet18",
            "batch_size": batch_size,
            "optimizer": "sgd_momentum",
            "evaluation_batch_size": batch_size,
        }
        without, with_scratch = (_as_in_2023(size, **fields) for size in (0, CONVOLUTION_SCRATCH_HIGH_BYTES))
        rows.append(
            {
                "batch_size": batch_size,
                "sheet_device_mib": device_mib,
                "peak_allocated_mib": round(without.peak_allocated_bytes / MIB, 1),
                "device_mib": without.peak_reserved_bytes / MIB + SHEET_CONTEXT_MIB,
                "device_with_512_mib_scratch": with_scratch.peak_reserved_bytes / MIB + SHEET_CONTEXT_MIB,
            }
        )
    return rows


def _slope() -> dict[str, float]:
    """MiB an image of ResNet-18 adds: to the activations at the end of a forward pass, and to the peaks."""
    small, large = (_as_in_2023(model="resnet18", batch_size=size, optimizer="sgd_momentum") for size in (64, 256))
    forward = [next(level for level in found.levels if level.phase == "forward") for found in (small, large)]
    images = 256 - 64
    return {
        "forward_allocated_mib_an_image": (forward[1].allocated_bytes - forward[0].allocated_bytes) / images / MIB,
        "peak_allocated_mib_an_image": (large.peak_allocated_bytes - small.peak_allocated_bytes) / images / MIB,
        "peak_reserved_mib_an_image": (large.peak_reserved_bytes - small.peak_reserved_bytes) / images / MIB,
        "sheet_mib_an_image": (SHEET_BATCHES_MIB[256] - SHEET_BATCHES_MIB[64]) / images,
    }


def _largest_batches() -> list[dict[str, Any]]:
    rows = []
    for model, gpu in itertools.product(("resnet18", "resnet152", "vit_b_16"), ("T4", "A100-40GB")):
        started = time.perf_counter()
        workload = Workload(model=model, optimizer="adam")
        largest = max_batch(workload, GPUS[gpu].total_bytes, gpu)
        rows.append(
            {"model": model, "gpu": gpu, "largest_batch": largest, "seconds": round(time.perf_counter() - started, 2)}
        )
    return rows


def _cold(optimizer: str) -> dict[str, float]:
    """Wall and processor seconds of the first estimate of ResNet-152 in a fresh process, imports left out."""
    told = []
    for _ in range(5):
        done = subprocess.run([sys.executable, "-c", COLD, optimizer], capture_output=True, text=True, check=True)
        told.append([float(part) for part in done.stdout.split()])
    wall, cpu = (statistics.median(column) for column in zip(*told, strict=True))
    return {"wall": round(wall, 3), "cpu": round(cpu, 3)}


if __name__ == "__main__":
    main()
