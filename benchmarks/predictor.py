"""`python -m benchmarks.predictor [--card T4 ...] [--model NAME ...] [--every N]`: predictions beside an emulated card.

How far predicted peaks lie from those of the same two training steps in processes that know nothing of predictions:
models x batches x optimizers x precisions. Then the homework's readings and some largest batches.
The results go to benchmarks/results/predictions.json; `python -m benchmarks.render` writes them into the docs.
"""

import argparse
import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks import machine
from benchmarks.step_memory import on_card
from emulator.loading import preload

RESULTS = Path(__file__).parent / "results" / "predictions.json"
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
"""For one model on one card: 18 cases, in processes of their own."""
LARGEST = tuple(itertools.product(("resnet18", "resnet152", "vit_b_16"), ("T4", "A100-40GB")))
KINDS = ("allocated_bytes", "reserved_bytes")


def cases(models: Sequence[str]) -> list[dict[str, Any]]:
    names = ("model", "batch_size", "optimizer", "precision")
    return [dict(zip(names, one, strict=True)) for one in itertools.product(models, BATCHES, OPTIMIZERS, PRECISIONS)]


def measured(card: str, wanted: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The cases of a card, one model after the other; says on stderr where it is."""
    for model, of_model in itertools.groupby(wanted, key=itemgetter("model")):
        print(f"{card}: {model}", file=sys.stderr, flush=True)
        yield from compared(card, on_card(card, list(of_model), LIMIT_SECONDS))


def compared(card: str, taken: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each case that fitted, with its predicted bytes."""
    from experiments.memory.contract import Workload
    from experiments.memory.devices import GPUS
    from experiments.memory.predictor import predict

    for case in taken:
        if case["reserved_bytes"] is None:
            continue
        fields = {name: value for name, value in case.items() if not name.endswith("_bytes")}
        found = predict(Workload.model_validate(fields), GPUS[card])
        yield fields | {
            "card": card,
            "taken": {kind: case[kind] for kind in KINDS},
            "predicted": {"allocated_bytes": found.peak_allocated_bytes, "reserved_bytes": found.peak_reserved_bytes},
        }


def largest() -> Iterator[dict[str, Any]]:
    """The largest batches with Adam at 224 pixels beside a default context."""
    from experiments.memory.contract import Workload
    from experiments.memory.devices import GPUS, GpuAsked
    from experiments.memory.predictor import judge

    for model, card in LARGEST:
        asked = GpuAsked(name=card, total_bytes=GPUS[card].usable_bytes)
        found = judge(Workload(model=model, optimizer="adam"), asked)
        yield {
            "model": model,
            "card": card,
            "largest": found.max_batch_size,
            "without_retries": found.max_batch_size_without_retries,
        }


def summary(rows: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str, int, int, float, float, float]]:
    """Card, kind of bytes, cases, those equal to the byte, and median, 95th percentile and worst of the errors."""
    for card, kind in itertools.product(dict.fromkeys(row["card"] for row in rows), KINDS):
        pairs = [(row["predicted"][kind], row["taken"][kind]) for row in rows if row["card"] == card]
        signed = [predicted / taken - 1 for predicted, taken in pairs]
        sizes = [abs(error) for error in signed]
        high = quantiles(sizes, n=20, method="inclusive")[-1] if len(sizes) > 1 else sizes[0]
        exact = sum(predicted == taken for predicted, taken in pairs)
        yield card, kind, len(pairs), exact, median(signed), high, max(sizes)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.predictor", description=__doc__)
    parser.add_argument("--card", action="append", help="this card; may be repeated")
    parser.add_argument("--model", action="append", help="this model; may be repeated")
    parser.add_argument("--every", type=int, default=1, help="every Nth case only")
    chosen = parser.parse_args()
    preload()
    from benchmarks import sheet_memory
    from experiments.memory import processes, warm

    warm.load()
    processes.allow_forks()
    wanted = cases(chosen.model or MODELS)[:: chosen.every]
    rows = [row for card in chosen.card or CARDS for row in measured(card, wanted)]
    print(f"{'card':12} {'bytes':16} {'cases':>5} {'exact':>5} {'median':>8} {'p95 of |error|':>15} {'worst':>8}")
    for card, kind, count, exact, middle, high, worst in summary(rows):
        print(f"{card:12} {kind:16} {count:5} {exact:5} {middle:8.2%} {high:15.2%} {worst:8.2%}")
    if chosen.card or chosen.model:
        return 0
    found = {"machine": machine.describe(), "every": chosen.every, "cases": rows}
    found |= {"sheet": sheet_memory.measure(), "largest": list(largest())}
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
