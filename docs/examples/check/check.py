"""A hidden check for `resnet-memory`: gradients are as large as weights, and the table is complete."""

import csv
import json
from pathlib import Path

from gpulab import run

MAX_BYTES = 100_000
"""A student's file may be of any size."""

result = json.loads(Path("submission/run.json").read_text())["result"] or {}
table = Path("submission/outputs/memory.csv")
rows = {}
if table.is_file() and table.stat().st_size <= MAX_BYTES:
    with table.open(newline="") as file:
        rows = {row[0]: row[1] for row in csv.reader(file) if len(row) == 2}

tests = {
    "the result has the bytes of weights and gradients": {"weights_bytes", "gradients_bytes"} <= result.keys(),
    "gradients are as large as weights": result.get("weights_bytes", 0) == result.get("gradients_bytes", 1),
    "momentum is as large as weights": result.get("weights_bytes", 0) == result.get("optimizer_bytes", 1),
    "memory.csv has the saved activations": rows.get("saved_for_backward_bytes", "").isdecimal(),
}
failed = [name for name, passed in tests.items() if not passed]
words = "all correct" if not failed else "not correct: " + "; ".join(failed)
run.result({"points": 10 * (len(tests) - len(failed)) / len(tests), "words": words})
