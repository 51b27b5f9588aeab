"""The trace of any batch size from the traces of two: a step does the same at every size, on blocks that grow."""

from copy import copy
from dataclasses import replace
from typing import Self

from experiments.memory.contract import Device, Workload
from experiments.memory.step import trace_steps
from experiments.memory.trace import Category, Trace

SMALLEST = 2
"""From here on every operation takes its usual path; a batch of one makes some tensors contiguous by chance."""


class TraceFamily:
    """Traces of a workload at any batch size; its own size is one of the two that are traced."""

    def __init__(self, workload: Workload, device: Device = "cuda", *, cublas_workspace_bytes: int = 0) -> None:
        self._workload = workload
        self._device = device
        self._workspace_bytes = cublas_workspace_bytes
        own = max(workload.batch_size, SMALLEST)
        self._sizes = (SMALLEST, own) if own > SMALLEST else (SMALLEST, 2 * SMALLEST)
        first, second = (self._trace(size) for size in self._sizes)
        same = (first.events, first.categories, first.marks) == (second.events, second.categories, second.marks)
        self._samples = (first, second) if same else None

    def at(self, batch_size: int) -> Trace:
        """The trace at this batch size: a line through the two samples, block by block; traced anew for one picture."""
        if self._samples is None or batch_size < SMALLEST:
            return self._trace(batch_size)
        first, second = self._samples
        steps, width = batch_size - self._sizes[0], self._sizes[1] - self._sizes[0]
        pairs = zip(first.sizes_bytes, second.sizes_bytes, strict=True)
        return replace(first, sizes_bytes=[low + (high - low) * steps // width for low, high in pairs])

    def with_workspace(self, cublas_workspace_bytes: int) -> Self:
        """The same with another workspace of cuBLAS, without tracing again. Both sizes must not be 0."""
        if cublas_workspace_bytes == self._workspace_bytes:
            return self
        other = copy(self)
        other._workspace_bytes = cublas_workspace_bytes
        if self._samples is not None:
            first, second = (_with_workspace(trace, cublas_workspace_bytes) for trace in self._samples)
            other._samples = (first, second)
        return other

    def _trace(self, batch_size: int) -> Trace:
        workload = self._workload.model_copy(update={"batch_size": batch_size})
        return trace_steps(workload, self._device, cublas_workspace_bytes=self._workspace_bytes)


def _with_workspace(trace: Trace, size_bytes: int) -> Trace:
    pairs = zip(trace.sizes_bytes, trace.categories, strict=True)
    return replace(trace, sizes_bytes=[size_bytes if kind is Category.WORKSPACE else size for size, kind in pairs])
