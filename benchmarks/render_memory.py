"""The figures of docs/gpu-memory.md, from `results/predictions.json`, each between its own markers."""

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.markers import between
from benchmarks.predictor import RESULTS, summary

PAGE = Path(__file__).parent.parent / "docs" / "gpu-memory.md"
Rows = Sequence[dict[str, Any]]


def measured() -> dict[str, Any]:
    """The committed results."""
    found: dict[str, Any] = json.loads(RESULTS.read_text())
    return found


def rendered(page: str, results: dict[str, Any]) -> str:
    """The page with these results between its markers."""
    for name, section in SECTIONS.items():
        page = between(page, name, section(results))
    return page


def slope(rows: Rows, column: str) -> float:
    """What an image adds from the second largest batch to the largest."""
    low, high = rows[-2:]
    added: float = (high[column] - low[column]) / (high["batch_size"] - low["batch_size"])
    return added


def _errors(results: dict[str, Any]) -> list[str]:
    rows, machine = results["cases"], results["machine"]
    models = len({row["model"] for row in rows})
    what = "All" if results["every"] == 1 else f"Every {results['every']}th"
    return [
        "| card | peak | cases | equal to the byte | median | 95 % within | furthest off |",
        "|---|---|---|---|---|---|---|",
        *(
            _row((card, kind.removesuffix("_bytes"), count, exact, _percent(middle), _percent(high), _percent(worst)))
            for card, kind, count, exact, middle, high, worst in summary(rows)
        ),
        "",
        (
            f"{what} of the cases that fit: {models} torchvision models, batches of 4, 16 and 64 at 224 pixels, "
            f"SGD, momentum and Adam, float32 and bfloat16. Python {machine['python']}, "
            f"torch {machine['packages']['torch']}."
        ),
    ]


def _optimizers(results: dict[str, Any]) -> list[str]:
    rows = results["sheet"]["optimizers"]
    columns = ("reserved_after_step_mib", "reserved_after_step_foreach_mib", "reserved_after_second_step_mib")
    gaps = _steps([row["reserved_after_step_mib"] for row in rows])
    return [
        "| optimizer | sheet: device | reserved after step 1 | with `foreach` | reserved after step 2 |",
        "|---|---|---|---|---|",
        *(_row((row["optimizer"], row["sheet_device_mib"], *map(row.get, columns))) for row in rows),
        "",
        (
            f"From row to row the sheet grows by {_steps([row['sheet_device_mib'] for row in rows])} MiB, and the "
            f"emulated card's reserved bytes by **{gaps} MiB**."
        ),
    ]


def _batches(results: dict[str, Any]) -> list[str]:
    rows, context = results["sheet"]["batches"], results["sheet"]["context_mib"]
    cells = [
        (row["batch_size"], row["sheet_device_mib"], context + row["peak_reserved_mib"], row["peak_allocated_mib"])
        for row in rows
    ]
    return [
        "| batch | sheet: device | sheet's context + reserved | difference | peak allocated |",
        "|---|---|---|---|---|",
        *(_row((size, sheet, device, sheet - device, allocated)) for size, sheet, device, allocated in cells),
        "",
        (
            f"From 64 to 256 images, each image adds {slope(rows, 'sheet_device_mib'):.1f} MiB on the sheet, "
            f"{slope(rows, 'peak_reserved_mib'):.1f} to the emulated card's reserved bytes, and "
            f"{slope(rows, 'peak_allocated_mib'):.1f} to its allocated bytes."
        ),
    ]


def _largest(results: dict[str, Any]) -> list[str]:
    return [
        "| model | GPU | largest batch | without retries |",
        "|---|---|---|---|",
        *(_row((row["model"], row["card"], row["largest"], row["without_retries"])) for row in results["largest"]),
    ]


SECTIONS: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "errors": _errors,
    "optimizers": _optimizers,
    "batches": _batches,
    "largest": _largest,
}


def _row(cells: Sequence[Any]) -> str:
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _steps(values: Sequence[int]) -> str:
    return " and ".join(str(after - before) for before, after in pairwise(values))


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
