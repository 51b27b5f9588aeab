"""`gpulab watch`: a job until it is final, live on a terminal, as lines elsewhere."""

import math
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from gpulab.cli.failures import ExitCode
from gpulab.cli.lab import JobId, Lab, lab_command, print_json

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from gpulab.client import Job, Metrics
    from gpulab.schemas import SeriesRead

app = typer.Typer()

HOLD_SECONDS = 1.0
PATIENCE_SECONDS = 120.0
CURVE_POINTS = 200
METRICS_SHOWN = 6
BAR_CELLS = 60


@lab_command(app)
def watch(lab: Lab, job: JobId) -> None:
    """Follow a job to its end; exit 1 unless it succeeds. With --json one object a change, the last one final."""
    follow_to_end(lab, lab.job(job), each_change=True)


def follow_to_end(lab: Lab, job: "Job", *, each_change: bool) -> None:
    """Show the job until it is final, then leave with its exit code."""
    from gpulab.cli.tables import console

    if lab.as_json:
        job.wait(on_change=lambda seen: print_json(seen.data) if each_change else None)
        if not each_change:
            print_json(job.data)
    elif console().is_terminal:
        _watch_live(job)
    else:
        _watch_lines(job)
    if job.state != "succeeded":
        raise typer.Exit(ExitCode.JOB_FAILED)


def _watch_lines(job: "Job") -> None:
    last = ""

    def show(seen: "Job") -> None:
        nonlocal last
        line = describe(seen)
        if line != last:
            print(line, flush=True)
        last = line

    job.wait(on_change=show)


def _watch_live(job: "Job") -> None:
    from rich.live import Live

    print(job.id)
    with Live(_panel(job, None), refresh_per_second=4, transient=False) as live:
        for metrics in _glances(job):
            live.update(_panel(job, metrics))


def _glances(job: "Job") -> "Iterator[Metrics]":
    """The metrics about once a second while the job is refreshed, and once more when it is final."""
    while True:
        asked_at = time.monotonic()
        final = job.is_final
        yield job.metrics(max_points=CURVE_POINTS)
        if final:
            return
        job.refresh(wait_seconds=HOLD_SECONDS, patience_seconds=PATIENCE_SECONDS)
        if not job.is_final:
            time.sleep(max(0.0, asked_at + HOLD_SECONDS / 2 - time.monotonic()))


def describe(job: "Job") -> str:
    """The job in one line."""
    from gpulab.cli.tables import printable

    parts = [str(job.id), job.state.value]
    if job.progress and not job.is_final:
        parts.append(f"{job.progress.fraction:4.0%} {job.progress.message}".rstrip())
    if job.data.attempt > 1:
        parts.append(f"attempt {job.data.attempt}")
    why = ": ".join(part for part in (job.cause, job.message) if part)
    return printable("  ".join([*parts, why] if why else parts))


def _panel(job: "Job", metrics: "Metrics | None") -> "RenderableType":
    from rich.console import Group
    from rich.panel import Panel
    from rich.text import Text

    from gpulab.cli.tables import STATE_STYLES, ago, printable

    fraction = 1.0 if job.state == "succeeded" else job.progress.fraction if job.progress else 0.0
    head = Text.assemble(
        (job.state.value, f"bold {STATE_STYLES[job.state]}"),
        f"  {fraction:.0%}  {printable(job.progress.message) if job.progress else ''}",
    )
    rows = [head, _bar(fraction, STATE_STYLES[job.state])]
    why = ": ".join(part for part in (job.cause, job.message) if part)
    rows += [Text(printable(why))] if why else []
    for series in (metrics.series if metrics else [])[:METRICS_SHOWN]:
        rows += [Text(line) for line in curve_lines(series)]
    where = f"on {job.data.node}, " if job.data.node else ""
    foot = f"{where}submitted {ago(job.data.submitted_at)} ago"
    return Panel(Group(*rows), title=Text(printable(job.name or job.experiment)), subtitle=Text(foot), width=80)


def _bar(fraction: float, style: str) -> "Text":
    from rich.text import Text

    done = round(fraction * BAR_CELLS)
    return Text.assemble(("━" * done, style), ("━" * (BAR_CELLS - done), "grey23"))


def curve_lines(series: "SeriesRead") -> list[str]:
    """A metric's newest value and its curve."""
    from gpulab.cli.curves import braille_curve
    from gpulab.client.series import floats

    values = floats(series)
    if not values:
        return [f"{series.name}  no points yet"]
    title = f"{series.name}  {values[-1]:.6g} at step {series.steps[-1]}"
    finite = [value for value in values if math.isfinite(value)]
    if len(finite) < 2:
        return [title]
    low, high = min(finite), max(finite)
    if low == high:
        return [f"{title}, always the same"]
    curve = braille_curve(series.steps, values, width_cells=56, height_cells=4)
    edges = [f"{high:.4g}", *[""] * (len(curve) - 2), f"{low:.4g}"]
    return [title, *(f"{line} {edge}" for line, edge in zip(curve, edges, strict=True))]
