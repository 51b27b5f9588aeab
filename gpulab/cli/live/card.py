"""One job as a card: state, progress, why it waits or failed, and its curves, fitted to the terminal."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from textwrap import wrap

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from gpulab.cli.live.curves import braille_curve
from gpulab.cli.tables import STATE_STYLES, ago, duration, printable, roughly
from gpulab.client.series import Metrics, floats
from gpulab.schemas import JobRead, JobSummary, QueueRead, SeriesRead
from gpulab.states import FINAL_STATES, STATE_WORDS, JobState, why_words
from gpulab.words import counted

WIDEST_CELLS = 100
CURVE_LINES = 4
MAX_FACT_LINES = 3
EDGE_CELLS = 10
"""Room for the greatest and the least value beside a curve."""
FRAME_CELLS = 4
MIN_ELAPSED_SECONDS = 5.0
"""Before that, a forecast is a guess."""


@dataclass(frozen=True, slots=True)
class Glance:
    """A job as it was at one moment."""

    job: JobSummary | JobRead
    metrics: Metrics | None = None
    queue: QueueRead | None = None
    trouble: str | None = None
    """Why this is getting old."""


def card(seen: Glance, width: int, height: int) -> RenderableType:
    job = seen.job
    inner = max(min(width, WIDEST_CELLS) - FRAME_CELLS, 16)
    style = STATE_STYLES[job.state]
    fraction = 1.0 if job.state is JobState.SUCCEEDED else job.progress.fraction if job.progress else 0.0
    message = printable(job.progress.message) if job.progress else ""
    rows = [
        Text.assemble(
            (STATE_WORDS[job.state], f"bold {style}"),
            f"  {fraction:.0%}  {message}" if job.progress or fraction else "",
        ),
        _bar(fraction, style, inner),
    ]
    rows += [Text(line) for fact in _facts(seen) for line in wrap(fact, inner, max_lines=MAX_FACT_LINES)]
    if seen.trouble is not None:
        rows.append(Text(f"not answering: {printable(seen.trouble)}; trying again", style="bold red"))
    rows += _curves(seen.metrics, inner, height - len(rows) - FRAME_CELLS)
    for row in rows:
        row.no_wrap, row.overflow = True, "ellipsis"
    title = printable(f"{job.name} ({job.experiment})" if job.name else job.experiment)
    foot = "" if job.state in FINAL_STATES else "q quits; the run continues"
    return Panel(Group(*rows), title=Text(title), subtitle=Text(foot, style="dim"), width=inner + FRAME_CELLS)


def _bar(fraction: float, style: str, cells: int) -> Text:
    done = round(fraction * cells)
    return Text.assemble(("━" * done, style), ("─" * (cells - done), "bright_black"))


def _facts(seen: Glance) -> list[str]:
    job = seen.job
    facts = [why_words(job.cause, job.message)]
    if seen.queue is not None and seen.queue.position is not None:
        facts = [f"place {seen.queue.position}: {seen.queue.explanation}"]
    when = _when(job)
    if seen.queue is not None and seen.queue.estimated_start_at is not None:
        when += f", starts in about {roughly(seen.queue.estimated_start_at - datetime.now(UTC))}"
    facts.append(when)
    return [printable(fact) for fact in facts if fact]


def _when(job: JobSummary | JobRead) -> str:
    if job.started_at is None:
        return f"submitted {ago(job.submitted_at)} ago"
    if job.finished_at is not None:
        return f"ran for {duration(job.finished_at - job.started_at)}" + (f" on {job.node}" if job.node else "")
    elapsed = datetime.now(UTC) - job.started_at
    words = f"on {job.node}, " if job.node else ""
    words += f"attempt {job.attempt}, " if job.attempt > 1 else ""
    words += f"runs for {duration(elapsed)}"
    if isinstance(job, JobRead):
        words += f" of at most {duration(timedelta(seconds=job.time_limit_seconds))}"
    fraction = job.progress.fraction if job.progress else 0.0
    if 0 < fraction < 1 and elapsed.total_seconds() >= MIN_ELAPSED_SECONDS:
        words += f", about {duration(elapsed * (1 / fraction - 1))} to go"
    return words


def _curves(metrics: Metrics | None, cells: int, lines: int) -> list[Text]:
    """As many metrics as fit; of the others the number."""
    series = metrics.series if metrics else []
    rows: list[Text] = []
    for at, one in enumerate(series):
        drawn = curve_lines(one, cells)
        if len(rows) + len(drawn) + (at + 1 < len(series)) > lines:
            left = len(series) - at
            return [*rows, Text(f"and {counted(left, 'more metric')}", style="dim")]
        rows += [Text(line) for line in drawn]
    return rows


def curve_lines(series: SeriesRead, cells: int = 64) -> list[str]:
    """A metric's newest value and its curve."""
    values = floats(series)
    if not values:
        return [f"{series.name}  no points yet"]
    title = f"{series.name}  {values[-1]:.6g} at step {series.steps[-1]}"
    finite = [value for value in values if math.isfinite(value)]
    if len(finite) < 2:
        return [title]
    low, high = min(finite), max(finite)
    if low == high:
        return [f"{title}, constant"]
    width = max(cells - EDGE_CELLS, 8)
    curve = braille_curve(series.steps, values, width_cells=width, height_cells=CURVE_LINES)
    edges = [f"{high:.4g}", *[""] * (len(curve) - 2), f"{low:.4g}"]
    return [title, *(f"{line} {edge}" for line, edge in zip(curve, edges, strict=True))]
