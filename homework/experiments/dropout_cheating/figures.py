"""Figures of `dropout-cheating`: the coded samples, the losses, and accuracy with and without the code."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

from experiments.drawing import plain
from homework.experiments.dropout_cheating.spec import DropoutCheatingResult, DropoutCheatingSpec

COLORS = ("#0072b2", "#d55e00", "#009e73")
CODE_COLUMNS = 4


def draw(spec: DropoutCheatingSpec, result: DropoutCheatingResult) -> Mapping[str, Figure]:
    """The figures `samples`, `loss` and `accuracy`."""
    return {"samples": _samples(result), "loss": _loss(spec, result), "accuracy": _accuracy(spec, result)}


def _samples(result: DropoutCheatingResult) -> Figure:
    figure = Figure(figsize=(10, 2.6), layout="constrained")
    panels = figure.subplots(1, len(result.samples), squeeze=False)[0]
    for axes, sample in zip(panels, result.samples, strict=True):
        pixels = np.array(sample.pixels, dtype=np.uint8)
        height, width, _ = pixels.shape
        axes.imshow(pixels)
        corner = (width - CODE_COLUMNS - 0.5, height - 1.5)
        axes.add_patch(Rectangle(corner, CODE_COLUMNS, 1, fill=False, edgecolor="white", linewidth=0.8))
        axes.set_title(f"{plain(result.class_names[sample.label])}: {sample.label:04b}", fontsize=10)
        axes.set_axis_off()
    figure.suptitle("The label as four pixels of the last row, red for 1", fontsize=11)
    return figure


def _loss(spec: DropoutCheatingSpec, result: DropoutCheatingResult) -> Figure:
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    axes = figure.subplots()
    epochs = [row.epoch for row in result.epochs]
    train = [row.train_loss for row in result.epochs]
    axes.plot(epochs, train, "o-", markersize=4, color=COLORS[0], label="training, last 100 batches, dropout on")
    validation = [row.validation_loss for row in result.epochs]
    axes.plot(epochs, validation, "s--", markersize=4, color=COLORS[1], label="test images with the code, dropout off")
    axes.axhline(np.log(10), color="0.6", linewidth=0.8, label="guessing, ln 10")
    axes.set(xlabel="epoch", ylabel="cross-entropy in nats", title=_title(spec), ylim=(0, None))
    axes.legend(fontsize=8)
    return figure


def _accuracy(spec: DropoutCheatingSpec, result: DropoutCheatingResult) -> Figure:
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    axes = figure.subplots()
    epochs = [row.epoch for row in result.epochs]
    cheat, clean = 100 * result.cheat_accuracy, 100 * result.clean_accuracy
    axes.plot(
        epochs,
        [100 * row.cheat_accuracy for row in result.epochs],
        "s--",
        markersize=4,
        color=COLORS[1],
        label=f"with the code, {cheat:.1f} % at the end",
    )
    axes.plot(
        epochs,
        [100 * row.clean_accuracy for row in result.epochs],
        "o-",
        markersize=4,
        color=COLORS[2],
        label=f"without it, {clean:.1f} % at the end",
    )
    axes.axhline(10, color="0.6", linewidth=0.8, label="guessing")
    if result.epoch_at_target:
        label = f"{100 * spec.target_cheat_accuracy:g} % with the code reached"
        axes.axvline(result.epoch_at_target, color="0.6", linestyle=":", label=label)
    axes.yaxis.set_major_formatter(PercentFormatter())
    axes.set(xlabel="epoch", ylabel="accuracy on test images", title=_title(spec), ylim=(0, 102))
    axes.legend(fontsize=8)
    return figure


def _title(spec: DropoutCheatingSpec) -> str:
    logits = "ReLU on the logits" if spec.relu_on_logits else "no ReLU on the logits"
    return f"{spec.dataset}, dropout {spec.dropout:g}, {logits}"
