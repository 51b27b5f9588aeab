"""The waiting times of simulations as an image. Needs matplotlib, which comes with the worker's packages."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

COLUMNS = 3


def draw(reports: Sequence[dict[str, Any]], path: Path) -> None:
    """Share of jobs by their longest wait. One panel per report, one curve per policy; the suffix sets the format."""
    from matplotlib.figure import Figure

    columns = min(COLUMNS, len(reports))
    rows = -(-len(reports) // columns)
    figure = Figure(
        figsize=(7 if columns == 1 else 4 * columns, 4.2 if rows == 1 else 3.2 * rows), layout="constrained"
    )
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, report in zip(panels, reports, strict=False):
        for name, quantiles in report["wait_quantiles"].items():
            width = 2.4 if name == "shipped" else 1.2
            axes.plot([max(1.0, wait) / 60 for wait in quantiles], range(101), label=name, linewidth=width)
        axes.set_xscale("log")
        axes.set_title(f"{report['workload']}, load {report['load']:g}: {report['jobs']:,} jobs", fontsize=10)
        axes.grid(visible=True, alpha=0.3)
    for axes in panels[len(reports) :]:
        axes.set_visible(False)
    figure.supxlabel("waiting time, minutes")
    figure.supylabel("jobs that waited at most this long, %")
    figure.axes[0].legend(fontsize=8)
    figure.savefig(path)
