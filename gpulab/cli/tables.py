"""Words and tables for people."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gpulab import names
from gpulab.states import STATE_WORDS, JobState

PIPE_WIDTH = 500
"""Width of the last column without a terminal: scripts want one line per row."""
GAP = 2
NARROWEST_LAST = 24

MAX_VALUE_CHARACTERS = 120
MIN_GROUPED = 10_000
"""From here on digits are grouped: 65,536."""

STATE_STYLES = {
    JobState.QUEUED: "dim",
    JobState.LEASED: "cyan",
    JobState.RUNNING: "blue",
    JobState.SUCCEEDED: "green",
    JobState.FAILED: "red",
    JobState.CANCELLED: "yellow",
}


def console() -> Console:
    """Stdout, with colours only on a terminal."""
    return Console(highlight=False, markup=False)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str | Text | None]]) -> None:
    """Left-aligned columns; only the last one wraps, and only on a terminal, so that ids stay whole."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=column != columns[-1], overflow="fold")
    cells = [[Text(printable(cell or "")) if not isinstance(cell, Text) else cell for cell in row] for row in rows]
    for row_cells in cells:
        table.add_row(*row_cells)
    fixed = [max([len(name), *(len(row[at]) for row in cells)]) for at, name in enumerate(columns[:-1])]
    out = console()
    needed = sum(fixed) + GAP * len(fixed) + NARROWEST_LAST
    out.width = max(out.width, needed) if out.is_terminal else PIPE_WIDTH + needed
    with out.capture() as captured:
        out.print(table)
    for line in captured.get().splitlines():
        print(line.rstrip())


def print_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Name and value, one a line. Facts without a value are left out. Times are past ones, in the user's zone."""
    known = [(name, value) for name, value in facts if value not in (None, "", [], {})]
    width = max((len(name) for name, _ in known), default=0)
    for name, value in known:
        text = f"{moment(value)} ({ago(value)} ago)" if isinstance(value, datetime) else str(value)
        print(f"{name:<{width}}  {printable(text)}")


def printable(text: str) -> str:
    """One line that cannot steer a terminal: names and messages come from other people's runs."""
    return names.shown(text)


def value_text(value: object) -> str:
    """A JSON value for people, in one line: text whole, numbers rounded, long lists cut. `--json` has all of it."""
    match value:
        case str():
            return value
        case bool() | None:
            return json.dumps(value)
        case int():
            return f"{value:,}" if abs(value) >= MIN_GROUPED else str(value)
        case float():
            return f"{value:.6g}"
        case list() if value and all(isinstance(item, str) for item in value):
            return f"[{', '.join(value)}]"
        case list() if not any(isinstance(item, list | dict) for item in value):
            return _listed([value_text(item) for item in value])
        case dict():
            return _cut(", ".join(f"{name}: {value_text(item)}" for name, item in value.items()))
    return _cut(json.dumps(value, ensure_ascii=False))


def _listed(items: Sequence[str]) -> str:
    whole = ", ".join(items)
    if len(whole) <= MAX_VALUE_CHARACTERS:
        return f"[{whole}]"
    shown = ""
    for item in items:
        if len(shown) + len(item) > MAX_VALUE_CHARACTERS:
            break
        shown += f"{item}, "
    return f"[{shown}...] ({len(items):,} values)"


def _cut(text: str) -> str:
    return text if len(text) <= MAX_VALUE_CHARACTERS else f"{text[:MAX_VALUE_CHARACTERS]}... ({len(text):,} characters)"


def moment(at: datetime | None) -> str:
    """A time in the user's own zone: `2026-11-30 14:05:09`."""
    return "" if at is None else f"{at.astimezone():%Y-%m-%d %H:%M:%S}"


def styled(state: JobState) -> Text:
    return Text(STATE_WORDS[state], style=STATE_STYLES[state])


def tally(states: Mapping[JobState, int]) -> str:
    """`3 running, 1 queued`."""
    return ", ".join(f"{count} {STATE_WORDS[state]}" for state, count in states.items())


def ago(moment: datetime | None) -> str:
    """How long since, in the two largest units."""
    return "" if moment is None else duration(datetime.now(UTC) - moment)


def duration(span: timedelta) -> str:
    """`45 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`; `0.2 s` where it was less than one."""
    if 0.05 <= span.total_seconds() < 1:
        return f"{span.total_seconds():.1f} s"
    left = max(int(span.total_seconds()), 0)
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


def roughly(span: timedelta) -> str:
    """Its largest unit alone: `3 min`."""
    return " ".join(duration(span).split()[:2])


def until(at: datetime) -> str:
    """`in 2 d`, `3 h ago`, `now`."""
    left = at - datetime.now(UTC)
    if abs(left) < timedelta(seconds=1):
        return "now"
    return f"in {roughly(left)}" if left > timedelta(0) else f"{roughly(-left)} ago"


def byte_size(count: float | None) -> str:
    """`1.5 GiB`; `?` for what was not measured."""
    if count is None:
        return "?"
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
