"""The prediction of ResNet-152 over HTTP, cold for one GPU and for ten, and from the table."""

import json
import time
from collections.abc import Sequence

from benchmarks.figures import Figure, median_figure
from benchmarks.labs import running_lab
from benchmarks.load import Connection, request
from tests.lab import Lab

TEN_GPUS = ("T4", "L4", "A10", "A100-40GB", "A100-80GB", "H100", "H200", "RTX-3090", "RTX-4090", "V100-16GB")


def measure(*, quick: bool) -> list[Figure]:
    """Each cold question has another number of classes, so that no answer is there yet."""
    rounds = 2 if quick else 10
    with running_lab() as lab:
        ask(lab, 9)  # the first one finds a zygote that may still be warming up
        cold = [1000 * ask(lab, 10 + number) for number in range(rounds)]
        ten = [1000 * ask(lab, 100 + number, TEN_GPUS) for number in range(rounds)]
        cached = [1000 * ask(lab, 10 + number) for number in range(rounds) for _ in range(10)]
    return [
        median_figure(
            "estimate_cold", "estimate of ResNet-152 for a T4 over HTTP, cold", "ms", "lower", cold, bar=800, aim=500
        ),
        median_figure("estimate_cached", "the same question again", "ms", "lower", cached, bar=20),
        median_figure("estimate_ten_gpus", "estimate of ResNet-152 for ten GPUs, cold", "ms", "lower", ten, bar=2500),
    ]


def ask(lab: Lab, classes: int, gpus: Sequence[str] = ("T4",)) -> float:
    """Seconds until the whole answer is here."""
    spec = {"model": "resnet152", "batch_size": 8, "num_classes": classes}
    body = json.dumps({"experiment": "model-memory", "spec": spec, "gpus": list(gpus)}).encode()
    order = request("POST", "/v1/estimates?wait=30", token=lab.token, body=body)
    connection = Connection(lab.port)
    started = time.perf_counter()
    answer = connection.call(order)
    seconds = time.perf_counter() - started
    connection.close()
    assert answer.status == 200, answer
    return seconds
