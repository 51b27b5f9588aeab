"""Small curves as SVG text, for notebooks: no script and no address in them, and colours that suit light and dark."""

import math
from collections.abc import Iterable, Sequence
from html import escape

from gpulab.client.series import floats
from gpulab.schemas import SeriesRead

WIDTH = 340
HEIGHT = 116
LEFT, RIGHT, TOP, BOTTOM = 4, 280, 26, 96
"""The plot; right of it stand its greatest and least value, so that neither lies under the line."""
LINE = "#3b82f6"
QUIET = 'fill="currentColor" fill-opacity="0.65" font-size="10"'

Point = tuple[float, float]


def curve(series: SeriesRead) -> str:
    """One metric over its steps; a value that is not finite breaks the line and is named in the title."""
    points = list(zip(map(float, series.steps), floats(series), strict=True))
    finite = [point for point in points if math.isfinite(point[1])]
    last = f"{points[-1][1]:.5g}" if points else "no points yet"
    lost = len(points) - len(finite)
    title = f"{series.name}: {last}" + (f" ({lost} not finite)" if lost else "")
    if not finite:
        return _picture(title, [])
    scale = _Scale(finite)
    drawn = [
        f'<polyline points="{" ".join(map(scale.place, piece))}" fill="none" stroke="{LINE}" stroke-width="1.5"/>'
        if len(piece) > 1
        else _dot(scale, piece[0])
        for piece in _pieces(points)
    ]
    return _picture(title, [*drawn, *_edges(scale, "step ")])


def intervals(title: str, points: Sequence[tuple[float, float, float]]) -> str:
    """Means over a swept field with their standard deviations: `points` holds x, mean and deviation."""
    ordered = sorted(points)
    reach = [(x, mean + side * spread) for x, mean, spread in ordered for side in (-1, 1)]
    scale = _Scale(reach)
    means = [(x, mean) for x, mean, _ in ordered]
    bars = [
        f'<line x1="{scale.x(x)}" x2="{scale.x(x)}" y1="{scale.y(mean - spread)}" y2="{scale.y(mean + spread)}" '
        f'stroke="{LINE}" stroke-width="1.5"/>'
        for x, mean, spread in ordered
        if spread
    ]
    line = f'<polyline points="{" ".join(map(scale.place, means))}" fill="none" stroke="{LINE}" stroke-opacity="0.5"/>'
    return _picture(title, [line, *bars, *(_dot(scale, point) for point in means), *_edges(scale)])


class _Scale:
    """From values to places in the image; a value that never changes lies in the middle."""

    def __init__(self, points: Sequence[Point]) -> None:
        self.low_x, self.high_x = min(x for x, _ in points), max(x for x, _ in points)
        self.low_y, self.high_y = min(y for _, y in points), max(y for _, y in points)

    def x(self, value: float) -> str:
        return f"{LEFT + _share(value, self.low_x, self.high_x) * (RIGHT - LEFT):.1f}"

    def y(self, value: float) -> str:
        return f"{BOTTOM - _share(value, self.low_y, self.high_y) * (BOTTOM - TOP):.1f}"

    def place(self, point: Point) -> str:
        return f"{self.x(point[0])},{self.y(point[1])}"


def _share(value: float, low: float, high: float) -> float:
    # Halves keep the difference of two huge numbers finite.
    span = high / 2 - low / 2
    return 0.5 if span == 0 else (value / 2 - low / 2) / span


def _pieces(points: Iterable[Point]) -> list[list[Point]]:
    """The runs of points between values that are not finite."""
    found: list[list[Point]] = [[]]
    for point in points:
        if math.isfinite(point[1]):
            found[-1].append(point)
        elif found[-1]:
            found.append([])
    return [piece for piece in found if piece]


def _dot(scale: _Scale, point: Point) -> str:
    return f'<circle cx="{scale.x(point[0])}" cy="{scale.y(point[1])}" r="2.5" fill="{LINE}"/>'


def _edges(scale: _Scale, unit: str = "") -> list[str]:
    """The greatest and least value at the right, the range of steps below."""
    below, beside = BOTTOM + 14, RIGHT + 6
    middle = (TOP + BOTTOM) // 2
    values = [(TOP, scale.high_y), (BOTTOM, scale.low_y)] if scale.high_y > scale.low_y else [(middle, scale.low_y)]
    marks = [(beside, y + 3, "start", f"{value:.4g}") for y, value in values]
    marks += [(LEFT, below, "start", f"{unit}{scale.low_x:.4g}")]
    marks += [(RIGHT, below, "end", f"{scale.high_x:.4g}")] if scale.high_x > scale.low_x else []
    texts = [f'<text x="{x}" y="{y}" text-anchor="{side}" {QUIET}>{words}</text>' for x, y, side, words in marks]
    base = f'<line x1="{LEFT}" x2="{RIGHT}" y1="{BOTTOM}" y2="{BOTTOM}" stroke="currentColor" stroke-opacity="0.2"/>'
    return [base, *texts]


def _picture(title: str, parts: Iterable[str]) -> str:
    name = escape(title)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{name}" '
        f'style="max-width:100%"><text x="{LEFT}" y="13" fill="currentColor" font-size="12">{name}'
        f"</text>{''.join(parts)}</svg>"
    )
