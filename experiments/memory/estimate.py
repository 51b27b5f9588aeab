"""The prediction: trace two steps, replay them through the caching allocator, add what lies outside it."""

import time

import torch

from experiments.memory.contract import Estimate, Interval, PhaseLevel, Split, Workload
from experiments.memory.devices import TYPICAL, Gpu, gpu_named
from experiments.memory.scaling import TraceFamily
from experiments.memory.step import trace_steps
from experiments.memory.trace import Category, Level, Replay, Trace, replay, tensor_peak


def estimate(workload: Workload, gpu: Gpu | str | None = None, family: TraceFamily | None = None) -> Estimate:
    """Predict the peak of GPU memory of two training steps, on any machine.

    `gpu` is a GPU or names a model of `devices.GPUS`. `family` are traces of this workload, where the caller has them.
    Raises `ValueError` for an unknown GPU.
    """
    started = time.perf_counter()
    model = gpu if isinstance(gpu, Gpu) else gpu_named(gpu)
    trace = (
        trace_steps(workload, "cuda", cublas_workspace_bytes=model.cublas_workspace_bytes)
        if family is None
        else family.with_workspace(model.cublas_workspace_bytes).at(workload.batch_size)
    )
    replayed = replay(trace)
    scratch = _convolution_workspace(trace, replayed, model)
    return Estimate(
        workload=workload,
        gpu=None if model.name == TYPICAL.name else model.name,
        torch_version=torch.__version__,
        peak_tensor_bytes=tensor_peak(trace).requested_bytes,
        peak_allocated_bytes=replayed.peak_allocated_bytes,
        peak_reserved_bytes=replayed.peak_reserved_bytes,
        peak_device=_device(replayed, scratch, model),
        peak_phase=replayed.peak.phase,
        split=_split(replayed, model, scratch),
        phases=[_phase(level) for level in replayed.levels],
        trace_seconds=time.perf_counter() - started,
    )


def likely_peak_device(trace: Trace, gpu: Gpu) -> int:
    """The likely peak of bytes in use on the device over a trace."""
    scratched = replay(trace, scratch_bytes=gpu.convolution_scratch_likely_bytes).peak_reserved_bytes
    return gpu.context.likely_bytes + max(scratched, replay(trace).peak_reserved_bytes)


def _device(replayed: Replay, scratch: Interval, gpu: Gpu) -> Interval:
    return gpu.context.add(scratch).plus(replayed.peak_reserved_bytes)


def _convolution_workspace(trace: Trace, replayed: Replay, gpu: Gpu) -> Interval:
    """By how much scratch memory of convolutions raises the reserved bytes; often free blocks hold it already."""
    sizes = (gpu.convolution_scratch_likely_bytes, gpu.convolution_scratch_high_bytes)
    likely, high = (
        replay(trace, scratch_bytes=size).peak_reserved_bytes - replayed.peak_reserved_bytes for size in sizes
    )
    return Interval(low_bytes=0, likely_bytes=max(0, likely), high_bytes=max(0, likely, high))


def _split(replayed: Replay, gpu: Gpu, scratch: Interval) -> Split:
    held = replayed.peak.by_category
    return Split(
        parameters_bytes=held[Category.PARAMETERS],
        buffers_bytes=held[Category.BUFFERS],
        batch_bytes=held[Category.BATCH],
        gradients_bytes=held[Category.GRADIENTS],
        optimizer_state_bytes=held[Category.OPTIMIZER_STATE],
        activations_bytes=held[Category.ACTIVATIONS],
        temporary_bytes=held[Category.TEMPORARY],
        workspace_bytes=held[Category.WORKSPACE],
        rounding_bytes=replayed.peak_allocated_bytes - replayed.peak.requested_bytes,
        fragmentation_bytes=replayed.peak_reserved_bytes - replayed.peak_allocated_bytes,
        convolution_workspace=scratch,
        context=gpu.context,
    )


def _phase(level: Level) -> PhaseLevel:
    return PhaseLevel(
        phase=level.phase,
        allocated_bytes=level.allocated_bytes,
        peak_allocated_bytes=level.peak_allocated_bytes,
        reserved_bytes=level.reserved_bytes,
    )
