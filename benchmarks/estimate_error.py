"""How far a predicted peak is from that of a real step on the CPU, and what the replay makes of the sheet's readings.

`python -m benchmarks.estimate_error [--only PART ...]` writes `benchmarks/results/estimate-error.json`, and
`python -m benchmarks.render` puts it into docs/gpu-memory.md. Pictures are small, so that real steps of many models end
in minutes; the prediction does the same whatever their size.
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks import machine, sheet_memory
from experiments.catalog.max_batch.run import real_step
from experiments.memory.advice import max_batch
from experiments.memory.contract import Workload
from experiments.memory.devices import GPUS, known_model
from experiments.memory.estimate import estimate
from experiments.memory.measured import measure_steps
from experiments.memory.step import trace_steps
from experiments.memory.trace import tensor_peak
from experiments.run_directory import RunDirectory

RESULTS = Path(__file__).parent / "results" / "estimate-error.json"
IMAGE_SIZE = 64
MODELS = (
    "resnet18", "resnet34", "resnet50", "resnet101", "resnext50_32x4d", "vgg11", "vgg11_bn", "densenet121",
    "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "efficientnet_b0", "efficientnet_v2_s",
    "regnet_y_400mf", "regnet_x_1_6gf", "convnext_tiny", "vit_b_32", "swin_t", "swin_v2_t", "squeezenet1_1",
    "shufflenet_v2_x1_0", "mnasnet1_0", "googlenet",
)  # fmt: skip
BATCH_SIZES = (2, 5, 12)
GPU_BATCH_SIZE = 16
"""At 224 pixels."""
OPTIMIZERS = ("sgd", "sgd_momentum", "adam")
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
    parser.add_argument("--only", action="append", choices=PARTS, help="measure this part anew; may be repeated")
    chosen = parser.parse_args()
    # A second thread would spin beside whatever else the machine does.
    torch.set_num_threads(1)
    found: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() and chosen.only else {}
    found |= {"machine": machine.describe(), "commit": machine.commit()}
    for part in chosen.only or PARTS:
        started = time.perf_counter()
        found[part] = PARTS[part](MODELS[:3] if chosen.quick else MODELS)
        print(f"{part}: {time.perf_counter() - started:.0f} s", flush=True)
    if not chosen.quick:
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")


def _steps(models: Sequence[str]) -> list[dict[str, Any]]:
    return [_compare(*case) for case in itertools.product(models, BATCH_SIZES, OPTIMIZERS)]


def _compare(model: str, batch_size: int, optimizer: str) -> dict[str, Any]:
    workload = Workload.model_validate(
        {"model": model, "image_size": IMAGE_SIZE, "batch_size": batch_size, "optimizer": optimizer}
    )
    predicted = tensor_peak(trace_steps(workload, "cpu"))
    measured = measure_steps(workload)
    error = predicted.requested_bytes / measured.peak_tensor_bytes - 1
    print(f"{model:20} {batch_size:3} {optimizer:13} {measured.peak_tensor_bytes:12} {error:+.4%}", flush=True)
    return {
        "model": model,
        "batch_size": batch_size,
        "optimizer": optimizer,
        "predicted_bytes": predicted.requested_bytes,
        "measured_bytes": measured.peak_tensor_bytes,
        "measured_with_scratch_bytes": measured.peak_bytes,
        "phase": predicted.phase,
    }


def _sheet(_: Sequence[str]) -> dict[str, Any]:
    return sheet_memory.measure()


def _largest(_: Sequence[str]) -> list[dict[str, Any]]:
    return list(_largest_batches())


def _largest_batches() -> Iterator[dict[str, Any]]:
    for model, gpu in itertools.product(("resnet18", "resnet152", "vit_b_16"), ("T4", "A100-40GB")):
        started = time.perf_counter()
        largest = max_batch(Workload(model=model, optimizer="adam"), GPUS[gpu].usable_bytes, gpu)
        yield {
            "model": model,
            "gpu": gpu,
            "largest_batch": largest,
            "seconds": round(time.perf_counter() - started, 2),
        }


def _cold(_: Sequence[str]) -> dict[str, dict[str, float]]:
    return {optimizer: _cold_seconds(optimizer) for optimizer in OPTIMIZERS}


def _cold_seconds(optimizer: str) -> dict[str, float]:
    """Wall and processor seconds of the first estimate of ResNet-152 in a fresh process, imports left out; of five."""
    told = []
    for _ in range(5):
        done = subprocess.run([sys.executable, "-c", COLD, optimizer], capture_output=True, text=True, check=True)
        told.append([float(part) for part in done.stdout.split()])
    wall, cpu = zip(*told, strict=True)
    return {
        "wall": round(statistics.median(wall), 3),
        "low": round(min(wall), 3),
        "high": round(max(wall), 3),
        "cpu": round(statistics.median(cpu), 3),
        "load": machine.load(),
    }


def _gpu(models: Sequence[str]) -> dict[str, Any]:
    """Predicted against the caching allocator and the device, where there is a GPU."""
    if not torch.cuda.is_available():
        return {"reason": "no GPU on the machine that measured", "rows": []}
    name = torch.cuda.get_device_name()
    return {"gpu": name, "rows": [_on_gpu(*case, known_model(name)) for case in itertools.product(models, OPTIMIZERS)]}


def _on_gpu(model: str, optimizer: str, gpu: str | None) -> dict[str, Any]:
    workload = Workload.model_validate({"model": model, "batch_size": GPU_BATCH_SIZE, "optimizer": optimizer})
    predicted = estimate(workload, gpu)
    with tempfile.TemporaryDirectory() as folder:
        step = real_step(workload, GPU_BATCH_SIZE, RunDirectory(Path(folder), device="cuda"))
    return {
        "model": model,
        "optimizer": optimizer,
        "predicted_bytes": predicted.peak_allocated_bytes,
        "measured_bytes": step.peak_allocated_bytes,
        "predicted_reserved_bytes": predicted.peak_reserved_bytes,
        "measured_reserved_bytes": step.peak_reserved_bytes,
    }


PARTS: dict[str, Callable[[Sequence[str]], Any]] = {
    "steps": _steps,
    "sheet": _sheet,
    "largest": _largest,
    "cold": _cold,
    "gpu": _gpu,
}

if __name__ == "__main__":
    main()
