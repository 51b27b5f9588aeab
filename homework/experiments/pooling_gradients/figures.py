"""Figures of `pooling-gradients`: the gradient maps, a band under noise, and what is kept of it."""

from collections.abc import Callable, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from gpulab.words import counted
from homework.experiments.pooling_gradients.spec import Matrix, PoolingGradientsResult, PoolingGradientsSpec, Response

COLORS = {"max": "#0072b2", "average": "#d55e00"}


def draw(spec: PoolingGradientsSpec, result: PoolingGradientsResult) -> Mapping[str, Figure]:
    """The figures `gradients`, `band` and `kept`."""
    return {"gradients": _gradients(spec, result), "band": _band(spec, result), "kept": _kept(spec, result)}


def _gradients(spec: PoolingGradientsSpec, result: PoolingGradientsResult) -> Figure:
    figure = Figure(figsize=(min(8, 2.2 + 2.9 * spec.levels), 1.6 + 8 / max(spec.levels, 2)), layout="constrained")
    panels = figure.subplots(2, spec.levels, squeeze=False)
    limit = max(abs(value) for entry in result.backward for row in entry.gradient for value in row)
    for entry in result.backward:
        axes = panels[0 if entry.kind == "max" else 1, entry.levels - 1]
        image = _show(axes, entry.gradient, "RdBu_r", -limit, limit)
        kind = f"{entry.kind}, {entry.levels} layer{'s' if entry.levels > 1 else ''}"
        axes.set_title(f"{kind}\n|dX|²/|dY|² = {entry.norm_ratio:.4g}", fontsize=8)
    figure.colorbar(image, ax=panels, label="dX", shrink=0.8)
    figure.suptitle("Gradients through 2 x 2 pooling")
    return figure


def _band(spec: PoolingGradientsSpec, result: PoolingGradientsResult) -> Figure:
    figure = Figure(figsize=(8, 3.1), layout="constrained")
    layers = counted(spec.levels, "layer")
    panels = (
        (f"band of {counted(spec.band_width, 'row')}, noise {spec.noise_sd:g}", result.noisy_image),
        (f"max pooling, {layers}", result.pooled_max),
        (f"average pooling, {layers}", result.pooled_average),
    )
    low = min(float(np.min(values)) for _, values in panels)
    high = max(float(np.max(values)) for _, values in panels)
    all_axes = figure.subplots(1, 3)
    for axes, (title, values) in zip(all_axes, panels, strict=True):
        image = _show(axes, values, "gray", low, high)
        axes.set_title(title, fontsize=9)
    figure.colorbar(image, ax=all_axes, label="brightness", shrink=0.75)
    return figure


def _show(axes: Axes, values: Matrix, cmap: str, low: float, high: float) -> AxesImage:
    image = axes.imshow(values, cmap=cmap, vmin=low, vmax=high)
    axes.set_xlabel("column (pixels)", fontsize=8)
    axes.set_ylabel("row (pixels)", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    return image


def _kept(spec: PoolingGradientsSpec, result: PoolingGradientsResult) -> Figure:
    panels: tuple[tuple[str, str, Callable[[Response], float]], ...] = (
        ("Band without noise", "brightest row / band height", lambda entry: entry.band_kept),
        ("Single bright pixel", "response / its height", lambda entry: entry.spike_kept),
        ("Band in noise", "contrast / sd of the background", lambda entry: entry.contrast_to_noise),
    )
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    for axes, (title, unit, value) in zip(figure.subplots(1, 3), panels, strict=True):
        for kind, color in COLORS.items():
            entries = [entry for entry in result.responses if entry.kind == kind]
            axes.plot([e.levels for e in entries], [value(e) for e in entries], "o-", color=color, label=kind)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylim(bottom=0)
        axes.set(xlabel="pooling layers", ylabel=unit)
        axes.set_title(title, fontsize=10)
        axes.legend(fontsize=8)
    rows, images = counted(spec.band_width, "row"), counted(spec.images, "noisy image")
    figure.suptitle(f"What pooling keeps (band of {rows}, {images})")
    return figure
