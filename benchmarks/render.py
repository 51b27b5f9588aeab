"""`python -m benchmarks.render`: put the results into the pages of docs/ that show them, between markers."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import render_memory, render_real
from benchmarks.markers import between

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "benchmarks.md"


def main() -> int:
    PAGE.write_text(rendered(PAGE.read_text(), newest()))
    memory, real = render_memory.PAGE, render_real.PAGE
    memory.write_text(render_memory.rendered(memory.read_text(), render_memory.measured()))
    real.write_text(render_real.rendered(real.read_text(), render_real.measured()))
    return 0


def newest() -> dict[str, Any]:
    """The results with the latest date in their name."""
    found: dict[str, Any] = json.loads(max(RESULTS.glob("20*.json")).read_text())
    return found


def rendered(page: str, results: dict[str, Any]) -> str:
    """The page with these results between the markers."""
    benchmarks = results["benchmarks"]
    parts = [
        *_machine(results["machine"]),
        "",
        *as_table(benchmarks),
        "",
        "Measured beside, in the same runs:",
        "",
        *as_comparisons(benchmarks),
    ]
    return between(page, "figures", parts)


def as_table(benchmarks: Sequence[dict[str, Any]]) -> list[str]:
    """Markdown: figure, value, spread, bar, aim, verdict."""
    rows = [
        f"| {figure['what']} | {_number(figure['value'])} {figure['unit']} | {_spread(figure)} "
        f"| {_limit(figure, 'bar')} | {_limit(figure, 'aim')} | {figure['verdict']} |"
        for benchmark in benchmarks
        for figure in benchmark["figures"]
    ]
    return ["| what | figure | spread | bar | aim | verdict |", "|---|---|---|---|---|---|", *rows]


def as_comparisons(benchmarks: Sequence[dict[str, Any]]) -> list[str]:
    """Markdown: what else each benchmark measured, on which commit, on which processor and under which load."""
    rows = []
    for benchmark in benchmarks:
        beside = {key: value for figure in benchmark["figures"] for key, value in figure["beside"].items()}
        words = ", ".join(f"{key.replace('_', ' ')} {_number(value)}" for key, value in beside.items())
        taken = f"{benchmark['commit']} | {benchmark['processor']} | {benchmark['load_before']}"
        rows.append(f"| {benchmark['benchmark']} | {words} | {taken} |")
    return ["| benchmark | beside it | commit | processor | load before |", "|---|---|---|---|---|", *rows]


def _machine(machine: dict[str, Any]) -> list[str]:
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    hardware = f"{machine['cores']} cores of {machine['processor']}, {machine['memory_bytes'] / 1e9:.0f} GB"
    return [f"{hardware}, Linux {machine['kernel']}, Python {machine['python']}; {packages}."]


def _spread(figure: dict[str, Any]) -> str:
    return f"{_number(figure['low'])} to {_number(figure['high'])} ({figure['spread']}, n={figure['samples']})"


def _limit(figure: dict[str, Any], name: str) -> str:
    value = figure[name]
    sign = "at most" if figure["better"] == "lower" else "at least"
    return "" if value is None else f"{sign} {_number(value)}"


def _number(value: float) -> str:
    """Three digits that mean something, and thousands apart."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main())
