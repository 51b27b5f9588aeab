"""`python -m benchmarks.predictor [--card T4 ...] [--model NAME ...]`: the predictor beside the emulated allocator.

Prints, for each card, how far predicted peaks of allocated and reserved bytes lie from those of two training steps on
the emulated card: models x batches x optimizers x precisions.
"""

import argparse
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from statistics import median, quantiles
from typing import Any

MODELS = (
    "alexnet", "convnext_small", "convnext_tiny", "densenet121", "densenet169", "efficientnet_b0", "efficientnet_b1",
    "efficientnet_v2_s", "googlenet", "mnasnet0_5", "mnasnet1_0", "mobilenet_v2", "mobilenet_v3_large",
    "mobilenet_v3_small", "regnet_x_400mf", "regnet_y_400mf", "resnet101", "resnet152", "resnet18", "resnet34",
    "resnet50", "resnext50_32x4d", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "squeezenet1_0", "vgg11", "vgg16",
    "vit_b_16", "vit_b_32", "wide_resnet50_2",
)  # fmt: skip
BATCHES, OPTIMIZERS, PRECISIONS = (4, 16, 64), ("sgd", "sgd_momentum", "adam"), ("float32", "bfloat16")
CARDS = ("T4", "A100-40GB")
LIMIT_SECONDS = 1800
KINDS = ("allocated_bytes", "reserved_bytes")


def cases(models: Sequence[str]) -> list[dict[str, Any]]:
    names = ("model", "batch_size", "optimizer", "precision")
    return [dict(zip(names, one, strict=True)) for one in itertools.product(models, BATCHES, OPTIMIZERS, PRECISIONS)]


def on_card(card: str, wanted: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What each case takes on the emulated card, in one process."""
    command = [sys.executable, "-m", "emulator", card, "--", sys.executable, "-m", "benchmarks.step_memory", "--here"]
    done = subprocess.run(
        command, input=json.dumps(wanted), capture_output=True, text=True, timeout=LIMIT_SECONDS, check=True
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def errors(card: str, taken: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Of each case that fitted, how far the prediction lies from it, as a share of it."""
    from experiments.memory.contract import Workload
    from experiments.memory.estimate import estimate

    for case in taken:
        if case["reserved_bytes"] is None:
            continue
        fields = {name: value for name, value in case.items() if not name.endswith("_bytes")}
        found = estimate(Workload.model_validate(fields), card)
        predicted = {"allocated_bytes": found.peak_allocated_bytes, "reserved_bytes": found.peak_reserved_bytes}
        yield fields | {kind: predicted[kind] / case[kind] - 1 for kind in KINDS}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.predictor", description=__doc__)
    parser.add_argument("--card", action="append", help="this card; may be repeated")
    parser.add_argument("--model", action="append", help="this model; may be repeated")
    chosen = parser.parse_args()
    print(f"{'card':12} {'bytes':16} {'cases':>5} {'median':>8} {'p95 of |error|':>15} {'worst':>8}")
    for card in chosen.card or CARDS:
        found = list(errors(card, on_card(card, cases(chosen.model or MODELS))))
        for kind in KINDS:
            signed = [one[kind] for one in found]
            sizes = [abs(error) for error in signed]
            high = quantiles(sizes, n=20)[-1] if len(sizes) > 1 else sizes[0]
            print(f"{card:12} {kind:16} {len(found):5} {median(signed):8.2%} {high:15.2%} {max(sizes):8.2%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
