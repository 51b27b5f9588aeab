"""Images of `batch-size`: accuracy over time, and memory against batch size, for one run or several."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from experiments.catalog.batch_size.spec import BatchSizeResult, BatchSizeSpec

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#666666")
MIB = 2**20
Point = tuple[BatchSizeSpec, BatchSizeResult]


def draw(spec: BatchSizeSpec, result: BatchSizeResult) -> Mapping[str, Figure]:
    """The figures `accuracy`, `loss` and `memory` of one run."""
    runs = [(spec, result)]
    return {"accuracy": draw_accuracy(runs), "loss": _draw_loss(spec, result), "memory": draw_memory(runs)}


def draw_accuracy(runs: Sequence[Point]) -> Figure:
    """Training accuracy against seconds since the end of epoch 1, one line a run; validation dashed."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    for color, (spec, result) in zip(_colors(runs), runs, strict=True):
        seconds = [row.elapsed_seconds for row in result.rows]
        label = f"batch {spec.batch_size}: {result.images_per_second:.0f} images/s"
        axes.plot(
            seconds, [_percent(row.accuracy) for row in result.rows], "o-", color=color, markersize=4, label=label
        )
        validation = [100 * row.validation_accuracy for row in result.rows]
        axes.plot(seconds, validation, "--", color=color, linewidth=1, label=f"batch {spec.batch_size}: validation")
    axes.set(xlabel="seconds since the end of epoch 1", ylabel="accuracy", ylim=(0, 100), title=_title(runs))
    axes.yaxis.set_major_formatter(PercentFormatter())
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure


def draw_memory(runs: Sequence[Point]) -> Figure:
    """Memory against batch size: the tensors' own bytes as a line; one dot measured and one cross predicted a run."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    spec, result = runs[0]
    largest = max(other.batch_size for other, _ in runs)
    sizes = [2**power for power in range(max(9, largest.bit_length()))]
    # Parameters, their gradients and one momentum each.
    fixed, slope = 3 * result.parameter_bytes, result.saved_activation_bytes_per_image
    label = f"3 x {result.parameter_bytes / MIB:.1f} MiB + batch x {slope / MIB:.2f} MiB"
    axes.plot(sizes, [(fixed + size * slope) / MIB for size in sizes], "-", color=COLORS[6], label=f"tensors: {label}")
    for field, name, color in (
        ("memory_used_bytes", "device", COLORS[0]),
        ("reserved_bytes", "reserved by the allocator", COLORS[4]),
        ("peak_allocated_bytes", "peak allocated", COLORS[2]),
        ("host_rss_bytes", "process on the host", COLORS[3]),
    ):
        read = [(s.batch_size, getattr(r.rows[-1], field)) for s, r in runs]
        points = [(size, value / MIB) for size, value in read if value is not None]
        if points:
            axes.plot(*zip(*points, strict=True), "o", color=color, label=name)
    _draw_prediction(axes, runs)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
    missing = f" ({result.memory_reason})" if result.memory_reason else ""
    axes.set(xlabel="batch size", ylabel="memory in MiB", title=f"Memory of {spec.model}{missing}")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure


def _draw_prediction(axes: Axes, runs: Sequence[Point]) -> None:
    """What a GPU was predicted to show: the peak of live tensors, and the device's interval."""
    known = [(spec.batch_size, result.prediction) for spec, result in runs if result.prediction is not None]
    if not known:
        return
    at, found = zip(*known, strict=True)
    allocated = [one.peak_allocated_bytes / MIB for one in found]
    axes.plot(at, allocated, "x", color=COLORS[2], label="peak allocated, predicted")
    likely = [one.peak_device_bytes.likely_bytes / MIB for one in found]
    below = [size - one.peak_device_bytes.low_bytes / MIB for size, one in zip(likely, found, strict=True)]
    above = [one.peak_device_bytes.high_bytes / MIB - size for size, one in zip(likely, found, strict=True)]
    axes.errorbar(at, likely, (below, above), fmt="x", color=COLORS[0], capsize=3, label="device, predicted")


def _draw_loss(spec: BatchSizeSpec, result: BatchSizeResult) -> Figure:
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.subplots()
    epochs = [row.epoch for row in result.rows]
    for name, values, style in (
        ("last minibatch", [row.loss for row in result.rows], "o:"),
        ("mean of the epoch", [row.mean_loss for row in result.rows], "o-"),
        ("validation", [row.validation_loss for row in result.rows], "o--"),
    ):
        axes.plot(epochs, values, style, markersize=4, label=name)
    axes.set(xlabel="epoch", ylabel="cross-entropy in nats", title=_title([(spec, result)]))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure


def _title(runs: Sequence[Point]) -> str:
    spec, result = runs[0]
    rate = f", learning rate {result.learning_rate:g}" if len(runs) == 1 else ""
    return f"{spec.model} on {spec.dataset} at {spec.image_size} pixels, batch {_sizes(runs)}{rate}"


def _sizes(runs: Sequence[Point]) -> str:
    return ", ".join(str(spec.batch_size) for spec, _ in runs)


def _colors(runs: Sequence[Point]) -> list[str]:
    return [COLORS[place % len(COLORS)] for place in range(len(runs))]


def _percent(share: float | None) -> float:
    return float("nan") if share is None else 100 * share
