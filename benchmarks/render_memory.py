"""The figures of docs/gpu-memory.md, from `results/estimate-error.json`, each between markers of its own."""

import json
import statistics
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "estimate-error.json"
PAGE = Path(__file__).parent.parent / "docs" / "gpu-memory.md"
MIB = 1 << 20
FAMILIES = {
    "ResNet, ResNeXt": ("resne",),
    "VGG": ("vgg",),
    "DenseNet": ("densenet",),
    "MobileNet, MNASNet, ShuffleNet": ("mobilenet", "mnasnet", "shufflenet"),
    "EfficientNet": ("efficientnet",),
    "RegNet": ("regnet",),
    "ConvNeXt": ("convnext",),
    "ViT, Swin": ("vit", "swin"),
    "SqueezeNet, GoogLeNet": ("squeezenet", "googlenet"),
}
PAIR = ("predicted_bytes", "measured_bytes")
Rows = Sequence[dict[str, Any]]


def measured() -> dict[str, Any]:
    """The committed results."""
    found: dict[str, Any] = json.loads(RESULTS.read_text())
    return found


def rendered(page: str, results: dict[str, Any]) -> str:
    """The page with these results between its markers."""
    for name, section in SECTIONS.items():
        begin, end = (f"<!-- {name}: {word} -->" for word in ("begin", "end"))
        before, found, rest = page.partition(begin)
        _, found_end, after = rest.partition(end)
        if not (found and found_end):
            raise ValueError(f"docs/gpu-memory.md needs the lines {begin} and {end}")
        page = before + "\n".join([begin, "", *section(results), "", end]) + after
    return page


def errors(rows: Rows) -> list[float]:
    """Relative errors of the predictions, above 0 where too much was predicted."""
    return [row["predicted_bytes"] / row["measured_bytes"] - 1 for row in rows]


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1)]


def _errors(results: dict[str, Any]) -> list[str]:
    rows = results["steps"]
    families = [(name, _of_family(rows, prefixes)) for name, prefixes in FAMILIES.items()]
    scratch = [row["measured_with_scratch_bytes"] / row["measured_bytes"] - 1 for row in rows]
    near = sum(abs(error) < 0.01 for error in errors(rows))
    machine = results["machine"]
    return [
        "| family | models | comparisons | median | 95 % within | furthest under | furthest over |",
        "|---|---|---|---|---|---|---|",
        *(_error_row(name, found) for name, found in [*families, ("**all**", rows)]),
        "",
        (
            f"{len({row['model'] for row in rows})} torchvision models, batches of "
            f"{_listed(sorted({row['batch_size'] for row in rows}))}, SGD, momentum and Adam, images of 64 pixels; "
            f"{near} of {len(rows)} predictions are within 1 %. Memory that kernels allocated and freed internally "
            f"would have raised the measured peak by {_percent(statistics.median(scratch))} in the median and "
            f"{_percent(quantile(scratch, 0.95))} at the 95th percentile. Python {machine['python']}, torch "
            f"{machine['packages']['torch']}, {machine['cores']} cores of {machine['processor']}."
        ),
    ]


def _gpu(results: dict[str, Any]) -> list[str]:
    found = results["gpu"]
    if not found["rows"]:
        return [f"Against a real GPU's allocator: not measured ({found['reason']})."]
    reserved = [row | {name: row[name.replace("_bytes", "_reserved_bytes")] for name in PAIR} for row in found["rows"]]
    return [
        f"Against the caching allocator of {found['gpu']}, batches of 16 at 224 pixels:",
        "",
        "| peak | models | comparisons | median | 95 % within | furthest under | furthest over |",
        "|---|---|---|---|---|---|---|",
        _error_row("allocated", found["rows"]),
        _error_row("reserved", reserved),
    ]


def _of_family(rows: Rows, prefixes: tuple[str, ...]) -> Rows:
    return [row for row in rows if row["model"].startswith(prefixes)]


def _error_row(name: str, rows: Rows) -> str:
    found = errors(rows)
    sizes = [abs(error) for error in found]
    cells = (
        name,
        len({row["model"] for row in rows}),
        len(rows),
        _percent(statistics.median(sizes)),
        _percent(quantile(sizes, 0.95)),
        _percent(min(0.0, *found)),
        _percent(max(0.0, *found)),
    )
    return _row(cells)


def _optimizers(results: dict[str, Any]) -> list[str]:
    sheet, rows = results["sheet"], results["sheet"]["optimizers"]
    after = {row["optimizer"]: row["reserved_after_step_mib"] for row in rows}
    gaps = {size: _steps([values[size] for values in after.values()]) for size in after["sgd"]}
    same = "the same" if len(set(gaps.values())) == 1 else "others"
    shares = [(sheet["context_mib"] + after["sgd"][size]) / rows[0]["sheet_device_mib"] for size in ("0", "512")]
    fields = ("reserved_after_step_foreach_mib", "allocated_after_step_mib", "reserved_after_second_step_mib")
    return [
        "| optimizer | sheet: device | reserved after step 1 | by `foreach` | live after it | reserved after step 2 |",
        "|---|---|---|---|---|---|",
        *(
            _row(
                [row["optimizer"], row["sheet_device_mib"], row["reserved_after_step_mib"]["0"], *map(row.get, fields)]
            )
            for row in rows
        ),
        "",
        " ".join(
            [
                f"From row to row the sheet grows by {_steps([row['sheet_device_mib'] for row in rows])} MiB and the",
                f"replay's reserved bytes by **{gaps['0']} MiB**. With {_listed(list(gaps))} MiB of scratch memory for",
                f"convolutions the two differences are {same}, so they do not depend on cuDNN. The level is",
                f"not explained exactly: reserved bytes and the sheet's context are {shares[0]:.0%} of its first",
                f"reading without scratch memory, {shares[1]:.0%} with 512 MiB. The rest belongs to cuDNN and the",
                "driver.",
            ]
        ),
    ]


def _batches(results: dict[str, Any]) -> list[str]:
    sheet = results["sheet"]
    context, slope = sheet["context_mib"], sheet["slope"]
    cells = [
        (
            row["batch_size"],
            row["sheet_device_mib"],
            context + row["peak_reserved_mib"],
            context + row["peak_reserved_with_scratch_mib"],
            row["peak_allocated_mib"],
        )
        for row in sheet["batches"]
    ]
    without, with_scratch = (_listed([_off(row[column], row[1]) for row in cells]) for column in (2, 3))
    return [
        "| batch | sheet: device | replay: context + reserved | the same with 512 MiB of scratch | peak allocated |",
        "|---|---|---|---|---|",
        *map(_row, cells),
        "",
        " ".join(
            [
                f"The replay differs from the sheet by {without} without scratch memory, by {with_scratch} with it.",
                f"From 64 to 256 images, each image adds {slope['sheet_mib']:.1f} MiB on the sheet and",
                f"{slope['peak_reserved_mib']:.1f} to the replay's reserved bytes, but only",
                f"{slope['peak_allocated_mib']:.1f} to its allocated bytes",
                f"({slope['forward_allocated_mib']:.1f} of them activations).",
            ]
        ),
    ]


def _largest(results: dict[str, Any]) -> list[str]:
    return [
        "| model | GPU | largest batch | found in |",
        "|---|---|---|---|",
        *(_row((row["model"], row["gpu"], row["largest_batch"], f"{row['seconds']} s")) for row in results["largest"]),
    ]


def _cold(results: dict[str, Any]) -> list[str]:
    told = [
        f"{found['wall']} s with `{optimizer}` ({found['low']} to {found['high']}; {found['cpu']} s of processor time)"
        for optimizer, found in results["cold"].items()
    ]
    load = max(found["load"] for found in results["cold"].values())
    return [
        f"ResNet-152 at batch 8 and 224 pixels, in a fresh process, without imports: {', '.join(told)}. Medians and",
        f"extremes of five runs, while up to {load:.0f} processes competed for the cores.",
    ]


SECTIONS: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "errors": _errors,
    "optimizers": _optimizers,
    "batches": _batches,
    "largest": _largest,
    "cold": _cold,
    "gpu": _gpu,
}


def _row(cells: Sequence[Any]) -> str:
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _listed(values: Sequence[Any]) -> str:
    *most, last = map(str, values)
    return f"{', '.join(most)} and {last}" if most else last


def _steps(values: Sequence[int]) -> str:
    return _listed([after - before for before, after in pairwise(values)])


def _percent(share: float) -> str:
    return f"{_no_minus_zero(f'{100 * share:.2f}')} %"


def _off(value: float, truth: float) -> str:
    return f"{_no_minus_zero(f'{100 * (value / truth - 1):+.0f}')} %"


def _no_minus_zero(number: str) -> str:
    return number if number.strip("+-0.") else number.lstrip("+-")
