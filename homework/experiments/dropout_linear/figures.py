"""Figures of `dropout-linear`: the curves of an iteration, and where its solution lies on the sweep of the rate."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from homework.experiments.dropout_linear.spec import Curve, DropoutLinearResult, DropoutLinearSpec
from homework.experiments.dropout_linear.theory import Problem

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#666666")
ZOOM_STEPS = 100


def draw(spec: DropoutLinearSpec, result: DropoutLinearResult) -> Mapping[str, Figure]:
    """The figures `contributions` and `sweep`, and for an iteration `loss` and `weights`."""
    figures = {"contributions": _contributions(result), "sweep": _sweep(spec, result)}
    if result.curve is None:
        return figures
    return {"loss": _loss(spec, result, result.curve), "weights": _weights(result, result.curve), **figures}


def _loss(spec: DropoutLinearSpec, result: DropoutLinearResult, curve: Curve) -> Figure:
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    zooms = ((spec.iterations, "All steps"), (ZOOM_STEPS, f"First {ZOOM_STEPS} steps"))
    # A batch of few masks jumps between a handful of levels; a line through them would fill the figure.
    few_masks = spec.dropout > 0 and spec.batch_size * len(spec.x) < 16
    for axes, (last, title) in zip(figure.subplots(1, 2), zooms, strict=True):
        steps, losses = zip(
            *((s, loss) for s, loss in zip(curve.steps, curve.loss, strict=True) if s < last), strict=True
        )
        axes.plot(
            steps, losses, "." if few_masks else "-", color=COLORS[0], linewidth=1, markersize=3, label="batch loss"
        )
        floor = result.closed_form_train_loss
        if floor > 1e-12:
            axes.axhline(floor, color=COLORS[1], linestyle="--", label=f"least expected loss {floor:.2f}")
        elif max(losses) > 0:
            axes.set_yscale("log")
        axes.set(title=title, xlabel="optimizer step", ylabel="mean squared error")
        axes.legend(fontsize=8)
    name = {"sgd": "SGD", "adam": "Adam"}[spec.optimizer]
    settings = f"dropout {spec.dropout:g}, {name}, batch {spec.batch_size}, learning rate {spec.learning_rate:g}"
    figure.suptitle(f"Loss: {settings}")
    return figure


def _weights(result: DropoutLinearResult, curve: Curve) -> Figure:
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    for j, (path, exact) in enumerate(zip(zip(*curve.weights, strict=True), result.closed_form_weights, strict=True)):
        color = COLORS[j % len(COLORS)]
        axes.plot(curve.steps, path, color=color, linewidth=1.2, label=f"w{j + 1}")
        axes.axhline(exact, color=color, linestyle="--", linewidth=1, label=f"w{j + 1} closed form {exact:.4f}")
    axes.set(title="Weights on their way to the closed form", xlabel="optimizer step", ylabel="weight")
    axes.legend(fontsize=8)
    return figure


def _contributions(result: DropoutLinearResult) -> Figure:
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    names = [f"w{j + 1}" for j in range(len(result.weights))]
    left, right = figure.subplots(1, 2)
    _bars(left, names, result.weights, "Weights", "weight")
    _bars(right, names, result.contributions, "Contributions to the prediction", "mean of weight x input")
    return figure


def _bars(axes: Axes, names: list[str], values: list[float], title: str, unit: str) -> None:
    bars = axes.bar(names, values, color=[COLORS[j % len(COLORS)] for j in range(len(values))])
    axes.bar_label(bars, fmt="%.4g", fontsize=8, padding=2)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.margins(y=0.15)
    axes.set(title=title, ylabel=unit)


def _sweep(spec: DropoutLinearSpec, result: DropoutLinearResult) -> Figure:
    """Closed forms over the dropout rate, with this run's values as dots; the rate 0 stands apart from its limit."""
    rates = np.arange(1, 99) / 100
    problems = [Problem.of(spec.model_copy(update={"dropout": float(rate)})) for rate in rates]
    solutions = [problem.solve() for problem in problems]
    figure = Figure(figsize=(8, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, color, value in (("clean", COLORS[0], result.clean_loss), ("training", COLORS[1], result.train_loss)):
        loss = Problem.clean_loss if name == "clean" else Problem.train_loss
        exact = [loss(problem, w) for problem, w in zip(problems, solutions, strict=True)]
        left.plot(rates, exact, color=color, label=f"{name}, closed form")
        left.plot(spec.dropout, value, "o", color=color, label=f"{name}, this run")
    left.set(title="Loss", xlabel="dropout rate", ylabel="mean squared error")
    for j, weight in enumerate(result.weights):
        color = COLORS[j % len(COLORS)]
        right.plot(rates, [w[j] for w in solutions], color=color, label=f"w{j + 1}, closed form")
        right.plot(spec.dropout, weight, "o", color=color, label=f"w{j + 1}, this run")
    right.set(title="Weights", xlabel="dropout rate", ylabel="weight")
    for axes in (left, right):
        axes.legend(fontsize=8)
    return figure
