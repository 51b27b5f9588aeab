"""How a job and a study look in a notebook: HTML that stands alone. Every text from the lab is escaped."""

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import groupby
from typing import Any

from gpulab.client.notebook import svg
from gpulab.schemas import CellRead, JobRead, JobSummary, SeriesRead, StatisticRead, StudyRead, StudySummary
from gpulab.states import STATE_WORDS, JobState, why_words
from gpulab.words import counted

STATE_COLORS = {
    JobState.QUEUED: "#6b7280",
    JobState.LEASED: "#0369a1",
    JobState.RUNNING: "#1d4ed8",
    JobState.SUCCEEDED: "#15803d",
    JobState.FAILED: "#b91c1c",
    JobState.CANCELLED: "#a16207",
}
CURVES_SHOWN = 12
CELLS_SHOWN = 40
QUANTITIES_SHOWN = 6

Pictures = Mapping[str, bytes]
"""PNG files by name."""


def job_card(job: JobSummary | JobRead, series: Sequence[SeriesRead] = (), trouble: str | None = None) -> str:
    """State, progress, what went wrong, and a curve a metric."""
    fraction = 1.0 if job.state is JobState.SUCCEEDED else job.progress.fraction if job.progress else 0.0
    running = job.finished_at is None and job.progress is not None
    lines = [f"<code>{job.id}</code>"]
    lines += [escape(f"attempt {job.attempt} on {job.node}")] if job.node else []
    lines += [escape(job.progress.message)] if running and job.progress and job.progress.message else []
    lines += [escape(why_words(job.cause, job.message))] if job.message else []
    head = f"{escape(job.experiment)}, seed {job.seed}"
    left = len(series) - CURVES_SHOWN
    lines += [f"{counted(left, 'more metric')} in <code>job.metrics()</code>"] if left > 0 else []
    return _card(
        escape(job.name or job.experiment),
        head,
        job.state,
        fraction,
        "<br>".join(lines) + _row(svg.curve(one) for one in series[:CURVES_SHOWN]),
        trouble,
    )


def study_card(study: StudySummary | StudyRead, pictures: Pictures | None = None, trouble: str | None = None) -> str:
    """State, progress of each question, the table of the runs, and the report's images."""
    counts = ", ".join(f"{count} {STATE_WORDS[state]}" for state, count in study.states.items())
    parts = [f"<code>{study.id}</code><br>{escape(counts)}"]
    if isinstance(study, StudyRead):
        parts += [escape(note) for note in study.notes]
        if len(study.questions) > 1:
            parts.append(
                _table(
                    ("question", "", "runs"), ((q.question, q.title, f"{q.final} of {q.runs}") for q in study.questions)
                )
            )
        for experiment, cells in groupby(study.comparison[:CELLS_SHOWN], key=lambda cell: cell.experiment):
            parts.append(_comparison(experiment, list(cells)))
        left = len(study.comparison) - CELLS_SHOWN
        parts += [f"{counted(left, 'more row')} in <code>study.to_dataframe()</code>"] if left > 0 else []
    parts += [_picture(name, content) for name, content in (pictures or {}).items()]
    state = JobState.RUNNING if study.state == "running" else JobState(study.state)
    title = escape(study.name or study.title)
    return _card(title, escape(study.template or ""), state, study.progress, "<br>".join(parts), trouble, wide=True)


def _card(
    title: str, head: str, state: JobState, fraction: float, body: str, trouble: str | None, *, wide: bool = False
) -> str:
    color = STATE_COLORS[state]
    width_em = 70 if wide else 58
    away = f'<div style="color:#b91c1c;font-weight:bold">not answering: {escape(trouble)}</div>' if trouble else ""
    return (
        f'<div style="border:1px solid #8886;border-radius:6px;padding:.6em .9em;font-size:90%;max-width:{width_em}em">'
        f"<b>{title}</b> <span>{head}</span> "
        # White on these colours is read on a dark page too.
        f'<span style="background:{color};color:#fff;font-weight:600;border-radius:1em;padding:.1em .7em">'
        f"{STATE_WORDS[state]}</span> {fraction:.0%}"
        f'<div role="progressbar" aria-valuenow="{fraction * 100:.0f}" aria-valuemin="0" aria-valuemax="100" '
        f'aria-label="{title}" style="background:#8884;border-radius:3px;height:6px;margin:.4em 0">'
        f'<div style="background:{color};width:{fraction * 100:.0f}%;height:6px;border-radius:3px"></div></div>'
        f"{away}{body}</div>"
    )


def _comparison(experiment: str, cells: Sequence[CellRead]) -> str:
    """One table an experiment: its coordinates, the runs, and mean and standard deviation of each number."""
    coordinates = list(dict.fromkeys(name for cell in cells for name in cell.cell if name != "experiment"))
    quantities = list(dict.fromkeys(name for cell in cells for name in cell.fields))
    shown = quantities[:QUANTITIES_SHOWN]
    rows = (
        (
            *(_value(cell.cell.get(name)) for name in coordinates),
            f"{cell.states.get('succeeded', 0)} of {cell.runs}",
            *(_statistic(cell.fields.get(name)) for name in shown),
        )
        for cell in cells
    )
    table = _table((*coordinates, "done", *shown), rows)
    left = len(quantities) - len(shown)
    more = f"{counted(left, 'more number')} in <code>study.table()</code>" if left else ""
    return f"<b>{escape(experiment)}</b>{table}{more}{_row(_sweeps(cells, coordinates, shown))}"


def _sweeps(cells: Sequence[CellRead], coordinates: Sequence[str], quantities: Sequence[str]) -> list[str]:
    """An image a number, where the cells differ in one number alone."""
    varied = [name for name in coordinates if len({_value(cell.cell.get(name)) for cell in cells}) > 1]
    if len(varied) != 1 or not all(_is_number(cell.cell.get(varied[0])) for cell in cells):
        return []
    found = []
    for quantity in quantities:
        of_cells = [(float(cell.cell[varied[0]]), cell.fields[quantity]) for cell in cells if quantity in cell.fields]
        if len(of_cells) > 1:
            points = [(x, statistic.mean, statistic.sd or 0.0) for x, statistic in of_cells]
            found.append(svg.intervals(f"{quantity} by {varied[0]}", points))
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _value(value: Any) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _statistic(found: StatisticRead | None) -> str:
    if found is None:
        return ""
    return f"{found.mean:.4g}" + (f" ± {found.sd:.2g}" if found.sd is not None else "")


def _table(head: Sequence[str], rows: Any) -> str:
    cell = 'style="text-align:left;padding:.2em .9em .2em .3em;font-variant-numeric:tabular-nums"'
    first = "".join(f"<th {cell}>{escape(name)}</th>" for name in head)
    rest = "".join("<tr>" + "".join(f"<td {cell}>{escape(text)}</td>" for text in row) + "</tr>" for row in rows)
    # Notebooks centre tables.
    table = f'<table style="margin:.2em 0"><thead><tr>{first}</tr></thead><tbody>{rest}</tbody></table>'
    return f'<div style="overflow-x:auto">{table}</div>'


def _row(pictures: Iterable[str]) -> str:
    inside = "".join(pictures)
    return inside and f'<div style="display:flex;flex-wrap:wrap;gap:.4em 1em;margin-top:.4em">{inside}</div>'


def _picture(name: str, content: bytes) -> str:
    words = escape(name.removesuffix(".png"))
    data = b64encode(content).decode()
    style = "max-width:100%;background:#fff;border-radius:4px"
    image = f'<img src="data:image/png;base64,{data}" alt="{words}" style="{style}">'
    return f'<figure style="margin:.6em 0">{image}<figcaption>{words}</figcaption></figure>'
