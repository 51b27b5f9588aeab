"""Images of `train-classifier`: loss and accuracy by epoch, and what is taken for what."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from experiments.catalog.train_classifier.spec import TrainClassifierResult, TrainClassifierSpec
from experiments.drawing import plain, plain_title

COLORS = ("#0072b2", "#d55e00", "#009e73")
MAX_LABELLED = 30


def draw(spec: TrainClassifierSpec, result: TrainClassifierResult) -> Mapping[str, Figure]:
    """The figures `curves` and `confusion`."""
    return {"curves": _curves(spec, result), "confusion": _confusion(spec, result)}


def _curves(spec: TrainClassifierSpec, result: TrainClassifierResult) -> Figure:
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = [row.epoch for row in result.rows]
    left.plot(epochs, [row.mean_loss for row in result.rows], "o-", markersize=4, color=COLORS[0], label="training")
    validation = [row.validation_loss for row in result.rows]
    left.plot(epochs, validation, "s--", markersize=4, color=COLORS[1], label="validation")
    left.set(title="Loss", xlabel="epoch", ylabel="cross-entropy in nats")
    running = [100 * row.running_accuracy for row in result.rows]
    right.plot(epochs, running, "o-", markersize=4, color=COLORS[0], label="training, while the weights change")
    after = [(row.epoch, 100 * row.accuracy) for row in result.rows if row.accuracy is not None]
    if after:
        right.plot(*zip(*after, strict=True), "^-", markersize=4, color=COLORS[2], label="training, after the epoch")
    accuracy = [100 * row.validation_accuracy for row in result.rows]
    best = f"validation, best {100 * result.best_validation_accuracy:.2f} %"
    right.plot(epochs, accuracy, "s--", markersize=4, color=COLORS[1], label=best)
    right.axvline(result.best_epoch, color="0.6", linestyle=":", label=f"best epoch, {result.best_epoch}")
    right.yaxis.set_major_formatter(PercentFormatter())
    right.set(title="Accuracy", xlabel="epoch", ylabel="images classified correctly")
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    figure.suptitle(plain_title(f"{spec.model} on {spec.dataset} at {spec.image_size} pixels"))
    return figure


def _confusion(spec: TrainClassifierSpec, result: TrainClassifierResult) -> Figure:
    counts = np.array(result.confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    classes = len(counts)
    side = min(12.0, 3 + 0.5 * classes)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if classes <= MAX_LABELLED:
        names = [plain(name) for name in result.class_names]
        axes.set_xticks(range(classes), names, rotation=90)
        axes.set_yticks(range(classes), names)
        for (row, column), count in np.ndenumerate(counts):
            color = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(count) if count else "", ha="center", va="center", fontsize=7, color=color)
    axes.set(xlabel="predicted class", ylabel="true class", title=f"{spec.model}, best epoch {result.best_epoch}")
    figure.colorbar(image, label="share of the true class", shrink=0.8)
    return figure
