"""Draws a figure of a study's findings with matplotlib's object interface: lines, dots, bars, squares."""

import io
import math
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from experiments.drawing import plain, plain_title
from experiments.studies.findings import FigureSpec, Heat, Plot, Series

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#666666")
"""Okabe and Ito's colours, told apart with any colour vision."""
PANEL_WIDTH, PANEL_HEIGHT, HEAT_SIDE = 4.6, 3.3, 2.3
MANY_POINTS = 150
DOTS_PER_INCH = 150
"""Half as many again as a screen's pixel in CSS, so that figures stay sharp on finer screens."""


def picture(spec: FigureSpec) -> bytes:
    """The figure as a PNG. One that cannot be drawn says so in its place: it must not cost the report."""
    try:
        return png(draw(spec))
    except Exception as error:  # noqa: BLE001 - drawn from what runs said
        figure = Figure(figsize=(PANEL_WIDTH, PANEL_HEIGHT), dpi=DOTS_PER_INCH)
        words = plain_title(f"This figure could not be drawn: {type(error).__name__}: {error}")
        figure.text(0.5, 0.5, fill(words, 40), ha="center", va="center")
        return png(figure)


def draw(spec: FigureSpec) -> Figure:
    """The figure."""
    columns = min(spec.columns, len(spec.panels))
    rows = math.ceil(len(spec.panels) / columns)
    heat = all(isinstance(panel, Heat) for panel in spec.panels)
    width, height = (HEAT_SIDE, HEAT_SIDE) if heat else (PANEL_WIDTH, PANEL_HEIGHT)
    wide = 1.4 if columns == 1 and not heat else 1.0
    figure = Figure(figsize=(columns * width * wide, rows * height + 0.4), layout="constrained", dpi=DOTS_PER_INCH)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, panel in zip(grid.flat, spec.panels, strict=False):
        if isinstance(panel, Heat):
            _heat(axes, panel)
        else:
            _plot(axes, panel)
    for axes in grid.flat[len(spec.panels) :]:
        axes.set_axis_off()
    figure.suptitle(plain_title(spec.title), fontsize=12, fontweight="bold")
    return figure


def png(figure: Figure) -> bytes:
    """The figure as a PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def shown_width(data: bytes) -> int:
    """Of a PNG of ours on a page, in CSS pixels (96 an inch), so that text is as large in every figure."""
    return round(int.from_bytes(data[16:20], "big") * 96 / DOTS_PER_INCH)


def _plot(axes: Axes, plot: Plot) -> None:
    bars = [series for series in plot.series if series.kind == "bars"]
    for place, series in enumerate(plot.series):
        color = PALETTE[(place if series.color is None else series.color) % len(PALETTE)]
        if series.kind == "bars":
            _bars(axes, series, color, bars.index(series), len(bars))
        else:
            _points(axes, series, color)
    if plot.level is not None:
        axes.axhline(plot.level, color="black", linewidth=0.9, linestyle=":", label=plain(plot.level_label) or None)
    _scale(axes, plot)
    axes.set_title(plain_title(plot.title), fontsize=10)
    axes.set_xlabel(plain_title(plot.x_label), fontsize=9)
    axes.set_ylabel(plain_title(plot.y_label), fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(visible=True, axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if sum(bool(series.label) for series in plot.series) > 1 or plot.level_label:
        axes.legend(fontsize=7.5, frameon=False)


def _scale(axes: Axes, plot: Plot) -> None:
    if plot.x_log:
        axes.set_xscale("log", base=2)
        places = sorted({x for series in plot.series for x in series.x})
        axes.set_xticks(places, [f"{place:g}" for place in places])
        axes.xaxis.set_minor_locator(NullLocator())
    if plot.y_log:
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        few_decades = high / low < 100
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5)) if few_decades else NullLocator())
        axes.yaxis.set_minor_formatter("{x:g}")
        axes.tick_params(axis="y", which="minor", labelsize=8)
    if plot.y_range:
        axes.set_ylim(*plot.y_range)
    if plot.x_names:
        axes.set_xticks(range(len(plot.x_names)), [fill(plain(name), 14) for name in plot.x_names], fontsize=8)


def _points(axes: Axes, series: Series, color: str) -> None:
    x, y = np.array(series.x), np.array(series.y, dtype=float)
    if series.kind == "dots":
        size = 2.0 if len(x) > MANY_POINTS else 5.0
        if series.low and series.high:
            spread = np.abs(np.array([series.low, series.high], dtype=float) - y)
            axes.errorbar(
                x, y, yerr=spread, fmt="o", markersize=size, capsize=3, color=color, label=plain(series.label) or None
            )
        else:
            axes.plot(x, y, "o", markersize=size, color=color, label=plain(series.label), markeredgewidth=0)
        return
    marker = "o" if len(x) <= 12 and series.kind == "line" else ""
    style = "--" if series.kind == "dashed" else "-"
    axes.plot(x, y, style, marker=marker, markersize=3.5, color=color, linewidth=1.4, label=plain(series.label))
    if series.low and series.high:
        low, high = (np.array(ends, dtype=float) for ends in (series.low, series.high))
        axes.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)


def _bars(axes: Axes, series: Series, color: str, place: int, count: int) -> None:
    width = 0.8 / count
    x = np.array(series.x) + (place - (count - 1) / 2) * width
    y = np.array(series.y, dtype=float)
    axes.bar(x, y, width * 0.92, color=color, label=plain(series.label))
    if series.low and series.high:
        spread = np.abs(np.array([series.low, series.high], dtype=float) - y)
        axes.errorbar(x, y, yerr=spread, fmt="none", ecolor="black", capsize=3, linewidth=0.9)


def _heat(axes: Axes, heat: Heat) -> None:
    values = np.array(heat.values, dtype=float)
    largest = float(np.abs(values).max()) or 1.0
    limits = (-largest, largest) if heat.diverging else (float(values.min()), float(values.max()))
    axes.imshow(values, cmap="RdBu_r" if heat.diverging else "Blues", vmin=limits[0], vmax=limits[1])
    axes.set_title(plain_title(heat.title), fontsize=9)
    _name(axes, heat)
    if heat.numbers:
        middle = (limits[0] + limits[1]) / 2
        for (row, column), value in np.ndenumerate(values):
            color = "white" if value > middle and not heat.diverging else "black"
            axes.text(column, row, f"{value:g}", ha="center", va="center", fontsize=8, color=color)


def _name(axes: Axes, heat: Heat) -> None:
    axes.set_xticks(range(len(heat.column_names)), [plain(name) for name in heat.column_names], fontsize=7)
    axes.set_yticks(range(len(heat.row_names)), [plain(name) for name in heat.row_names], fontsize=7)
    if not heat.column_names:
        axes.spines[:].set_visible(False)
