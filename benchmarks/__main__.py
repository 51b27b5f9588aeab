"""`python -m benchmarks [--only NAME ...] [--quick] [--json FILE]`: measure, print the table, keep the figures.

Each benchmark takes turns with what it is compared with inside one run, and says median and spread. The figures go to
benchmarks/results/<date>-<kind of machine>.json; with `--only`, those of the named benchmarks replace the older ones
there. `python -m benchmarks.render` puts the newest file into docs/benchmarks.md.
"""

import argparse
import json
import sys
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import machine
from benchmarks.figures import Figure
from benchmarks.render import RESULTS, as_table
from gpulab.proxies import spare_loopback

NAMES = (
    "start",
    "program_start",
    "estimates",
    "drain",
    "submissions",
    "visible",
    "shipping",
    "reading",
    "job_table",
    "recording",
    "polling",
    "following",
    "planning",
    "fleet",
    "memory",
    "screen",
)


def main() -> int:
    spare_loopback()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure the figures of the docs.")
    parser.add_argument("--only", action="append", choices=NAMES, help="measure this one; may be repeated")
    parser.add_argument("--quick", action="store_true", help="few repetitions, to see that it works; keeps no figures")
    parser.add_argument("--json", type=Path, help="file to keep the figures in, instead of the one for today")
    chosen = parser.parse_args()
    console = Console(stderr=True)
    path = chosen.json or (None if chosen.quick else todays_file())
    found = []
    for name in chosen.only or NAMES:
        console.print(f"{name} …")
        found.append(measure(name, quick=chosen.quick))
        for figure in found[-1]["figures"]:
            console.print(f"  {figure['name']}: {figure['value']:.4g} {figure['unit']}, {figure['verdict']}")
            console.print(f"    beside: {figure['beside']}", highlight=False)
        if path is not None:  # after each: one that fails costs no other
            path.write_text(json.dumps(merged(path, found), indent=1) + "\n")
    print("\n".join(as_table(found)))
    return 0


def measure(name: str, *, quick: bool) -> dict[str, Any]:
    """One benchmark's figures with when, on which commit and under how much other load they were taken."""
    started, load_before = datetime.now(UTC), machine.load()
    figures: list[Figure] = import_module(f"benchmarks.{name}").measure(quick=quick)
    return {
        "benchmark": name,
        "commit": machine.commit(),
        "processor": machine.processor(),
        "measured_at": started.isoformat(timespec="seconds"),
        "seconds": round((datetime.now(UTC) - started).total_seconds()),
        "load_before": load_before,
        "figures": [figure.as_json() for figure in figures],
    }


def todays_file() -> Path:
    RESULTS.mkdir(exist_ok=True)
    return RESULTS / f"{datetime.now(UTC):%Y-%m-%d}-{machine.kind()}.json"


def merged(path: Path, found: list[dict[str, Any]]) -> dict[str, Any]:
    """What was measured now, and of the file what was not measured again."""
    old = json.loads(path.read_text())["benchmarks"] if path.exists() else []
    every = {one["benchmark"]: one for one in [*old, *found]}
    return {"machine": machine.describe(), "benchmarks": [every[name] for name in NAMES if name in every]}


if __name__ == "__main__":
    sys.exit(main())
