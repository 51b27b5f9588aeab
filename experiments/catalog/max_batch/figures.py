"""Images of `max-batch`: the predicted peak against the batch size, memory limit, and what real steps took."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from emulator import is_emulated
from experiments.catalog.max_batch.spec import MaxBatchResult, MaxBatchSpec

COLORS = ("#0072b2", "#d55e00", "#009e73", "#666666")
GIB = 2**30


def draw(spec: MaxBatchSpec, result: MaxBatchResult) -> Mapping[str, Figure]:
    """The figure `peaks`."""
    return {"peaks": _draw_peaks(spec, result)}


def _draw_peaks(spec: MaxBatchSpec, result: MaxBatchResult) -> Figure:
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    # What was probed far beyond the answer would flatten all that matters.
    shown = [probe for probe in result.probes if probe.peak_device_bytes.low_bytes <= 1.5 * result.memory_bytes]
    sizes = [probe.batch_size for probe in shown]
    low, likely, high = (
        [getattr(probe.peak_device_bytes, end) / GIB for probe in shown]
        for end in ("low_bytes", "likely_bytes", "high_bytes")
    )
    axes.fill_between(sizes, low, high, color=COLORS[0], alpha=0.2, label="device, predicted: the interval")
    axes.plot(sizes, likely, ".-", color=COLORS[0], label="device, predicted: likely")
    allocated = [probe.peak_allocated_bytes / GIB for probe in shown]
    axes.plot(sizes, allocated, ".-", color=COLORS[2], label="peak allocated, predicted")
    axes.axhline(result.memory_bytes / GIB, color=COLORS[3], linestyle="--", label="memory limit")
    if result.largest_batch_size is not None:
        axes.axvline(result.largest_batch_size, color=COLORS[1], label=f"largest: {result.largest_batch_size}")
    ended = [step for step in result.real_steps if step.peak_allocated_bytes is not None]
    if ended:
        at = [step.batch_size for step in ended]
        axes.plot(
            at,
            [(step.peak_allocated_bytes or 0) / GIB for step in ended],
            "o",
            color=COLORS[2],
            label="on the emulated GPU" if is_emulated() else "measured",
        )
    reason = f"\nreal steps: {result.reason}" if result.reason else ""
    where = spec.gpu or f"{result.memory_bytes / GIB:.1f} GiB"
    title = f"{spec.model} at {spec.image_size} pixels, {spec.optimizer}, {spec.precision}, on {where}{reason}"
    axes.set(xlabel="batch size", ylabel="memory in GiB", title=title)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure
