"""The prediction of ResNet-152 over HTTP, cold and from the table."""

import json
import time

from benchmarks.figures import Figure, median_figure
from benchmarks.labs import running_lab
from benchmarks.load import Connection, request
from tests.lab import Lab


def measure(*, quick: bool) -> list[Figure]:
    """Each cold question has another number of classes, so that no answer is there yet."""
    rounds = 2 if quick else 10
    with running_lab() as lab:
        ask(lab, 9)  # the first one finds a zygote that may still be warming up
        cold = [1000 * ask(lab, 10 + number) for number in range(rounds)]
        cached = [1000 * ask(lab, 10 + number) for number in range(rounds) for _ in range(10)]
    return [
        median_figure(
            "estimate_cold", "estimate of ResNet-152 for a T4 over HTTP, cold", "ms", "lower", cold, bar=2000, aim=500
        ),
        median_figure("estimate_cached", "the same question again", "ms", "lower", cached, bar=20),
    ]


def ask(lab: Lab, classes: int) -> float:
    """Seconds until the whole answer is here."""
    spec = {"model": "resnet152", "batch_size": 8, "num_classes": classes}
    body = json.dumps({"experiment": "model-memory", "spec": spec, "gpus": ["T4"]}).encode()
    order = request("POST", "/v1/estimates?wait=30", token=lab.token, body=body)
    connection = Connection(lab.port)
    started = time.perf_counter()
    answer = connection.call(order)
    seconds = time.perf_counter() - started
    connection.close()
    assert answer.status == 200, answer
    return seconds
