"""The waiting times of a simulation as a picture. Needs matplotlib, which comes with the worker's packages."""

from pathlib import Path
from typing import Any


def draw(report: dict[str, Any], path: Path) -> None:
    """Part of the jobs that waited at most so long, a curve a policy, to a file whose ending says the format."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    for name, quantiles in report["wait_quantiles"].items():
        width = 2.4 if name == "shipped" else 1.2
        axes.plot([max(1.0, wait) / 60 for wait in quantiles], range(101), label=name, linewidth=width)
    axes.set_xscale("log")
    axes.set_xlabel("waiting time, minutes")
    axes.set_ylabel("jobs that waited at most so long, %")
    axes.set_title(f"{report['workload']}: {report['jobs']:,} jobs on {report['nodes']} x {report['gpus']} GPUs")
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.savefig(path)
