"""Curves drawn with braille characters: two by four dots a character."""

import math
from collections.abc import Sequence

BLANK = 0x2800
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The bit of the dot in row 0 to 3 and column 0 to 1 of a character."""


def braille_curve(
    xs: Sequence[float], ys: Sequence[float], *, width_cells: int = 48, height_cells: int = 5
) -> list[str]:
    """`height_cells` lines of `width_cells` characters; points that are not finite are left out."""
    points = [(x, y) for x, y in zip(xs, ys, strict=True) if math.isfinite(x) and math.isfinite(y)]
    cells = [[0] * width_cells for _ in range(height_cells)]
    dots = _dots(points, width_cells * 2, height_cells * 4)
    for start, end in zip(dots, dots[1:] or dots, strict=False):
        for column, row in _line(start, end):
            cells[row // 4][column // 2] |= DOTS[row % 4][column % 2]
    return ["".join(chr(BLANK + bits) for bits in line) for line in cells]


def _dots(points: Sequence[tuple[float, float]], columns: int, rows: int) -> list[tuple[int, int]]:
    """Column and row (from the top) of each point, the curve filling the whole field."""
    if not points:
        return []
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return [
        (round(_share(x, min(xs), max(xs)) * (columns - 1)), round((1 - _share(y, min(ys), max(ys))) * (rows - 1)))
        for x, y in points
    ]


def _share(value: float, low: float, high: float) -> float:
    # Halves keep the difference of two huge numbers finite.
    span = high / 2 - low / 2
    return 0.5 if span == 0 else (value / 2 - low / 2) / span


def _line(start: tuple[int, int], end: tuple[int, int]) -> list[tuple[int, int]]:
    steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
    return [
        (start[0] + round((end[0] - start[0]) * step / steps), start[1] + round((end[1] - start[1]) * step / steps))
        for step in range(steps + 1)
    ]
