"""Images of `model-memory`: what is live by cause, and what the allocator, the device and the host show."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from emulator import is_emulated
from experiments.catalog.model_memory.spec import ModelMemoryResult, ModelMemorySpec
from gpulab.schemas.memory import Prediction

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")
MIB = 2**20
NAMES = {
    "after_model": "model\nin place",
    "after_backward": "after\nbackward",
    "after_step": "after\nfirst step",
    "after_second_step": "after\nsecond step",
}
PHASES = {
    "after_model": "model",
    "after_backward": "backward",
    "after_step": "step",
    "after_second_step": "second_step",
}
"""The phase of the prediction that ends at each moment."""


def draw(spec: ModelMemorySpec, result: ModelMemoryResult) -> Mapping[str, Figure]:
    """The figures `causes`, `readings` and, if there is one, `prediction`."""
    figures = {"causes": _draw_causes(spec, result), "readings": _draw_readings(spec, result)}
    if result.prediction is not None:
        figures["prediction"] = _draw_prediction(spec, result, result.prediction)
    return figures


def _draw_causes(spec: ModelMemorySpec, result: ModelMemoryResult) -> Figure:
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    moments = [NAMES[reading.moment] for reading in result.readings]
    base = [result.buffer_bytes / MIB] * len(moments)
    axes.bar(moments, base, color=COLORS[4], label=f"buffers, {base[0]:.1f} MiB")
    for color, field, name in (
        (COLORS[0], "parameter_bytes", "parameters"),
        (COLORS[1], "gradient_bytes", "gradients"),
        (COLORS[2], "optimizer_state_bytes", f"state of {spec.optimizer}"),
    ):
        sizes = [getattr(reading, field) / MIB for reading in result.readings]
        axes.bar(moments, sizes, bottom=base, color=color, label=f"{name}, {max(sizes):.1f} MiB")
        base = [low + size for low, size in zip(base, sizes, strict=True)]
    axes.set(title=f"Live tensors of {_title(spec)}, exact", ylabel="MiB")
    axes.margins(y=0.15)
    _legend(figure)
    return figure


def _draw_readings(spec: ModelMemorySpec, result: ModelMemoryResult) -> Figure:
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    series: dict[str, list[int | None]] = {
        "allocated": [reading.allocated_bytes for reading in result.readings],
        "peak allocated": [reading.peak_allocated_bytes for reading in result.readings],
        "reserved": [reading.reserved_bytes for reading in result.readings],
        "device in use": [reading.device_used_bytes for reading in result.readings],
        "process on the host": [reading.host_rss_bytes for reading in result.readings],
    }
    known = {name: [size for size in sizes if size is not None] for name, sizes in series.items()}
    known = {name: sizes for name, sizes in known.items() if len(sizes) == len(result.readings)}
    width = 0.8 / len(known)
    for place, (name, sizes) in enumerate(known.items()):
        left = [moment - 0.4 + width * (place + 0.5) for moment in range(len(sizes))]
        bars = axes.bar(left, [size / MIB for size in sizes], width, color=COLORS[place], label=name)
        axes.bar_label(bars, fmt="%.0f", fontsize=6, padding=1)
    axes.set_xticks(range(len(result.readings)), [NAMES[reading.moment] for reading in result.readings])
    reason = result.readings[0].reason
    axes.set(title=f"Memory of {_title(spec)}" + (f"\n{reason}" if reason else ""), ylabel="MiB")
    _legend(figure)
    return figure


def _draw_prediction(spec: ModelMemorySpec, result: ModelMemoryResult, prediction: Prediction) -> Figure:
    """The caching allocator at the four moments: predicted as steps, measured as dots, the device's peak as a band."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    levels = {level.phase: level for level in prediction.phases or ()}
    predicted = [levels[PHASES[reading.moment]] for reading in result.readings]
    moments = range(len(predicted))
    for color, field, name in (
        (COLORS[0], "allocated_bytes", "allocated"),
        (COLORS[1], "peak_allocated_bytes", "peak allocated"),
        (COLORS[2], "reserved_bytes", "reserved"),
    ):
        if field != "peak_allocated_bytes":
            sizes = [getattr(level, field) / MIB for level in predicted]
            axes.step(moments, sizes, where="mid", color=color, label=f"{name}, predicted")
        read = [(at, getattr(reading, field)) for at, reading in enumerate(result.readings)]
        known = [(at, size / MIB) for at, size in read if size is not None]
        if known:
            axes.plot(*zip(*known, strict=True), "o", color=color, label=f"{name}, {_source()}")
    axes.axhline(prediction.peak_allocated_bytes / MIB, color=COLORS[1], linestyle=":", label="peak, predicted")
    device = prediction.peak_device_bytes
    band = (device.low_bytes / MIB, device.high_bytes / MIB)
    axes.axhspan(*band, color=COLORS[3], alpha=0.15, label="peak of the device, predicted")
    used = [(at, reading.device_used_bytes) for at, reading in enumerate(result.readings)]
    known = [(at, size / MIB) for at, size in used if size is not None]
    if known:
        axes.plot(*zip(*known, strict=True), "s", color=COLORS[3], label=f"device, {_source()}")
    axes.set_xticks(moments, [NAMES[reading.moment] for reading in result.readings])
    axes.set_ylim(bottom=0)
    reason = result.readings[0].reason
    title = f"{_title(spec)}\npredicted" + (f"; not measured: {reason}" if reason else f" and {_source()}")
    axes.set_title(title, fontsize=10)
    axes.set_ylabel("MiB")
    _legend(figure)
    return figure


def _title(spec: ModelMemorySpec) -> str:
    return f"{spec.model}, batch {spec.batch_size} at {spec.image_size} pixels, {spec.optimizer}"


def _legend(figure: Figure) -> None:
    figure.legend(loc="outside right upper", fontsize=8, reverse=True)


def _source() -> str:
    return "on the emulated GPU" if is_emulated() else "measured"
