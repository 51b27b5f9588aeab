"""Figures of `dropout-ridge`: the Monte Carlo error, the column norms, and the path of solutions."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from homework.experiments.dropout_ridge.spec import DropoutRidgeResult, DropoutRidgeSpec

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#666666", "#000000")


def draw(spec: DropoutRidgeSpec, result: DropoutRidgeResult) -> Mapping[str, Figure]:
    """The figures `gram`, `columns` and `path`."""
    return {"gram": _gram(result), "columns": _columns(spec, result), "path": _path(result)}


def _gram(result: DropoutRidgeResult) -> Figure:
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    exact = np.array(result.closed_form)
    scale = np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
    error = (np.array(result.monte_carlo) - exact) / scale
    limit = max(float(np.abs(error).max()), 1e-12)
    image = left.imshow(error, cmap="RdBu_r", vmin=-limit, vmax=limit)
    names = [str(j + 1) for j in range(len(exact))]
    left.set(title="Error of the mean of A'A", xlabel="column j", ylabel="column i")
    left.set_xticks(range(len(exact)), names)
    left.set_yticks(range(len(exact)), names)
    figure.colorbar(image, ax=left, label="error / sqrt(diagonal i x diagonal j)", shrink=0.85)
    seen = result.convergence
    right.loglog(seen.masks, seen.error, "o-", color=COLORS[0], markersize=4, label="against the closed form")
    right.loglog(seen.masks, seen.standard_error, "--", color=COLORS[0], label="expected by chance")
    right.axhline(result.sheet_relative_error, color=COLORS[1], linestyle=":", label="against zeros off the diagonal")
    right.set(title="Error against the masks drawn", xlabel="masks", ylabel="relative Frobenius error")
    right.legend(fontsize=8)
    return figure


def _columns(spec: DropoutRidgeSpec, result: DropoutRidgeResult) -> Figure:
    figure = Figure(figsize=(8, 3.8), layout="constrained")
    axes = figure.subplots()
    groups = (
        ("X", result.column_norms),
        ("X Gamma^-1 sqrt(lambda)", result.changed_column_norms),
        ("the same, Gamma without its root", result.sheet_column_norms),
    )
    places = np.arange(spec.columns)
    for k, (name, norms) in enumerate(groups):
        axes.bar(places + 0.27 * (k - 1), norms, width=0.25, color=COLORS[k], label=name)
    predicted = result.predicted_column_norm
    axes.axhline(predicted, color="black", linewidth=1, linestyle="--", label=f"sqrt(lambda p/(1-p)) = {predicted:.4f}")
    axes.set_yscale("log")
    axes.set_xticks(places, [str(j + 1) for j in places])
    title = f"The change of variables gives every column one norm (keep {spec.keep:g}, lambda {spec.strength:g})"
    axes.set(title=title, xlabel="column", ylabel="Euclidean norm")
    axes.legend(fontsize=8)
    return figure


def _path(result: DropoutRidgeResult) -> Figure:
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    path = result.path
    for j, (ridge, dropout) in enumerate(
        zip(zip(*path.ridge, strict=True), zip(*path.dropout, strict=True), strict=True)
    ):
        axes.plot(path.keep, ridge, "-", color=COLORS[j], label=f"column {j + 1}, ridge")
        axes.plot(path.keep, dropout, "o", color=COLORS[j], markersize=4, label=f"column {j + 1}, p x dropout")
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set(title="p times the dropout minimiser is the ridge solution", xlabel="keep probability p", ylabel="weight")
    axes.legend(fontsize=8, ncols=2)
    return figure
