"""Figures of `conv-gradients`: the gradient as a cross-correlation, the sum of patches, the growth."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gpulab.words import counted
from homework.experiments.conv_gradients.spec import ConvGradientsResult, ConvGradientsSpec, Matrix

COLORS = ("#0072b2", "#d55e00")


def draw(spec: ConvGradientsSpec, result: ConvGradientsResult) -> Mapping[str, Figure]:
    """The figures `gradient`, `patches` and `growth`."""
    gradient = (
        ("image X", result.image),
        ("upstream dY", result.upstream),
        ("dw, automatic", result.weight_gradient),
        ("dw, X correlated with dY", result.correlation_gradient),
    )
    patches = (
        (f"w after {counted(spec.steps, 'step')} - w before", result.weight_change),
        (f"sum of {result.patches} weighted patches", result.patch_sum),
    )
    return {
        "gradient": _maps("The gradient of the weights is a cross-correlation", gradient),
        "patches": _maps("SGD adds weighted patches of the images to the weights", patches),
        "growth": _growth(spec, result),
    }


def _maps(title: str, panels: Sequence[tuple[str, Matrix]]) -> Figure:
    figure = Figure(figsize=(8, 2.9), layout="constrained")
    for axes, (name, values) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        limit = max(float(np.abs(values).max()), 1e-12)
        image = axes.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit)
        axes.set_title(name, fontsize=9)
        axes.set_xlabel("column (pixels)", fontsize=8)
        axes.set_ylabel("row (pixels)", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        figure.colorbar(image, ax=axes, orientation="horizontal", shrink=0.9).ax.tick_params(labelsize=7)
    figure.suptitle(title)
    return figure


def _growth(spec: ConvGradientsSpec, result: ConvGradientsResult) -> Figure:
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    sides = [point.output_side for point in result.growth]
    measured = np.sqrt([point.variance for point in result.growth])
    ends = np.sqrt([[max(point.variance_low, 0.0), point.variance_high] for point in result.growth]).T
    errors = np.abs(ends - measured)
    slope = f"slope {result.exponent:.3f}, 99 % interval {result.exponent_low:.3f} to {result.exponent_high:.3f}"
    axes.errorbar(sides, measured, errors, fmt="o", color=COLORS[0], capsize=4, label=f"measured: {slope}")
    exact = np.sqrt([point.closed_form for point in result.growth])
    axes.plot(sides, exact, color=COLORS[0], label=f"closed form: slope {result.closed_form_exponent:.3f}")
    by_sheet = np.sqrt([point.sheet for point in result.growth])
    axes.plot(sides, by_sheet, "--", color=COLORS[1], label=f"the sheet's formula: slope {result.sheet_exponent:.3f}")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(sides, [str(side) for side in sides])
    title = f"Growth of the weight gradient (k = {spec.kernel_side}, {spec.repeats} draws a side)"
    axes.set(title=title, xlabel="output side m = n - k + 1 (pixels)", ylabel="standard deviation of dw")
    axes.legend(fontsize=8)
    return figure
