"""Figures of a run: the images, the first kernels before and after training, the curves and the confusions."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from gpulab.words import counted
from homework.experiments.edge_bands.data import Split, draw_images
from homework.experiments.edge_bands.spec import EdgeBandsResult, EdgeBandsSpec, ReplicaResult

COLUMNS = 10
MAX_KERNEL_ROWS = 6
BETWEEN = "#cfe0f2"
"""Of the gaps between images: no grey, so that a white band at the border still ends where it ends."""
TRAIN_COLOUR, VALIDATION_COLOUR = "#1f77b4", "#d95f02"


def draw(spec: EdgeBandsSpec, result: EdgeBandsResult) -> Mapping[str, Figure]:
    """Figures by name: `images` (and their counterparts), `kernels` of a convolution, `curves`, `confusion`."""
    seed = result.replicas[0].seed
    figures = {"images": draw_grid(spec, seed, "train", "Training images")}
    if spec.permute_pixels:
        plain = spec.model_copy(update={"permute_pixels": False})
        figures["images_unpermuted"] = draw_grid(plain, seed, "train", "Training images before the permutation")
    if spec.domain_shift:
        figures["images_validation"] = draw_grid(spec, seed, "validation", "Validation images")
    if result.replicas[0].kernels_after is not None:
        figures["kernels"] = draw_kernels(spec, result.replicas[:MAX_KERNEL_ROWS])
    figures["curves"] = draw_curves(spec, result)
    figures["confusion"] = draw_confusion(spec, result)
    return figures


def draw_grid(spec: EdgeBandsSpec, seed: int, split: Split, title: str) -> Figure:
    """The first images of each class, a class a row."""
    images = draw_images(spec, seed, split)
    rows = [list(images.pixels[images.labels == label][:COLUMNS]) for label in range(spec.classes)]
    figure = Figure(figsize=(COLUMNS * 0.78, spec.classes * 0.8 + 0.55), layout="constrained")
    axis = figure.subplots()
    mosaic, middles, _ = _mosaic([row + [None] * (COLUMNS - len(row)) for row in rows])
    axis.imshow(mosaic, cmap="gray", vmin=0, vmax=255)
    axis.set_facecolor(BETWEEN)
    _bare(axis)
    axis.set_yticks(middles, spec.class_names)
    figure.suptitle(f"{title}, seed {seed}")
    return figure


def draw_kernels(spec: EdgeBandsSpec, replicas: list[ReplicaResult]) -> Figure:
    """The first convolution's kernels, a replica a row; blue is negative, red positive, one scale for each row."""
    figure = Figure(figsize=(7.4, 1.05 * len(replicas) + 0.9), layout="constrained")
    axis = figure.subplots()
    rows = [
        [*_scaled(replica.kernels_before, replica), None, *_scaled(replica.kernels_after, replica)]
        for replica in replicas
    ]
    mosaic, middles, columns = _mosaic(rows)
    axis.imshow(mosaic, cmap="RdBu_r", vmin=-1, vmax=1)
    _bare(axis)
    axis.set_yticks(middles, [f"seed {replica.seed}\n{replica.validation_accuracy:.0%}" for replica in replicas])
    axis.set_xticks([columns[1], columns[5]], ["before training", "after training"])
    axis.xaxis.tick_top()
    figure.suptitle(f"First {spec.kernel_size} x {spec.kernel_size} kernels and validation accuracy")
    return figure


def _scaled(kernels: list[list[list[float]]] | None, replica: ReplicaResult) -> list[np.ndarray]:
    """Each kernel over the largest weight of all six."""
    limit = np.abs(np.array([replica.kernels_before, replica.kernels_after])).max() or 1.0
    return list(np.array(kernels) / limit)


def _mosaic(rows: Sequence[Sequence[np.ndarray | None]]) -> tuple[np.ma.MaskedArray, list[float], list[float]]:
    """Square tiles on one canvas, a gap around each, and the middles of its rows and columns: an axis for each tile
    would take longer to draw than a short run to train."""
    side = next(len(tile) for row in rows for tile in row if tile is not None)
    gap = max(1, side // 9)
    pitch = side + gap
    canvas = np.full((len(rows) * pitch + gap, len(rows[0]) * pitch + gap), np.nan)
    for top, row in enumerate(rows):
        for left, tile in enumerate(row):
            if tile is not None:
                y, x = top * pitch + gap, left * pitch + gap
                canvas[y : y + side, x : x + side] = tile
    middles = [[place * pitch + gap + (side - 1) / 2 for place in range(count)] for count in (len(rows), len(rows[0]))]
    return np.ma.masked_invalid(canvas), middles[0], middles[1]


def draw_curves(spec: EdgeBandsSpec, result: EdgeBandsResult) -> Figure:
    """Loss and accuracy of both sets over the epochs: each replica thin, their mean thick."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    series = [(one.train_losses, one.validation_losses) for one in result.replicas]
    _lines(loss, result.epochs, np.array(series))
    loss.set(xlabel="epoch", ylabel="cross-entropy an image, nats", title="Loss")
    loss.set_ylim(bottom=0)
    series = [(one.train_accuracies, one.validation_accuracies) for one in result.replicas]
    _lines(accuracy, result.epochs, np.array(series))
    accuracy.axhline(1 / spec.classes, color="0.6", linestyle=":", label="chance")
    if result.bayes_limit < 1:
        accuracy.axhline(result.bayes_limit, color="0.3", linestyle="--", label=f"limit {result.bayes_limit:.1%}")
    accuracy.set(xlabel="epoch", ylabel="share correct", title="Accuracy", ylim=(0, 1.03))
    accuracy.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    accuracy.legend(loc="lower right", frameon=False, fontsize="small")
    figure.suptitle(_caption(spec, len(result.replicas)))
    return figure


def draw_confusion(spec: EdgeBandsSpec, result: EdgeBandsResult) -> Figure:
    """Validation images of all replicas by true and predicted class, in per cent of the true class."""
    counts = np.array([replica.confusion for replica in result.replicas]).sum(0)
    shares = counts / counts.sum(1, keepdims=True)
    figure = Figure(figsize=(1.05 * spec.classes + 2, 1.0 * spec.classes + 1.2), layout="constrained")
    axis = figure.subplots()
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        colour = "white" if share > 0.5 else "black"
        axis.text(column, row, f"{share:.0%}\n({counts[row, column]})", ha="center", va="center", color=colour)
    ticks = range(spec.classes)
    axis.set_xticks(ticks, spec.class_names, rotation=30, ha="right")
    axis.set_yticks(ticks, spec.class_names)
    axis.set(xlabel="predicted class", ylabel="true class")
    axis.set_title(f"Validation accuracy {result.validation_accuracy_mean:.1%}", fontsize="medium")
    return figure


def _lines(axis: Axes, epochs: list[int], series: np.ndarray) -> None:
    """Draw `series` (replicas, 2, epochs) of training and validation."""
    for index, (name, colour) in enumerate((("training", TRAIN_COLOUR), ("validation", VALIDATION_COLOUR))):
        values = series[:, index]
        if len(values) > 1:
            axis.plot(epochs, values.T, color=colour, linewidth=0.7, alpha=0.35)
        axis.plot(epochs, values.mean(0), color=colour, linewidth=2, label=name)
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))


def _caption(spec: EdgeBandsSpec, replicas: int) -> str:
    parts = [spec.model.replace("_", " ").upper() if spec.model != "edge_frozen" else "frozen edge detectors"]
    parts.append(f"{counted(spec.images_per_class, 'image')} a class")
    if spec.model != "mlp":
        parts.append(f"{spec.kernel_size} x {spec.kernel_size} kernels, {spec.pooling} pooling")
    parts += ["shifted domain"] * spec.domain_shift + ["shuffled pixels"] * spec.permute_pixels
    parts += [f"mean of {replicas} seeds"] * (replicas > 1)
    return ", ".join(parts)


def _bare(axis: Axes) -> None:
    axis.set_xticks([])
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
