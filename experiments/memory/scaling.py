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
    """Traces of a workload at any batch size. Its own size is traced when it is asked for, and one more size when a
    further one is.
    """

    def __init__(self, workload: Workload, device: Device = "cuda", *, cublas_workspace_bytes: int = 0) -> None:
        self._workload = workload
        self._device = device
        self._traced_workspace_bytes = self._workspace_bytes = cublas_workspace_bytes
        own = max(workload.batch_size, SMALLEST)
        self._sizes = (SMALLEST, own) if own > SMALLEST else (SMALLEST, 2 * SMALLEST)
        self._traced: dict[int, Trace] = {}
        self._samples: tuple[Trace, Trace] | None = None
        self._linear = True

    def at(self, batch_size: int) -> Trace:
        """The trace at this batch size: a line through two samples, block by block, unless it was traced itself."""
        if batch_size < SMALLEST or batch_size in {self._workload.batch_size, *self._traced}:
            return self._trace(batch_size)
        if self._samples is None:
            first, second = (self._trace(size) for size in self._sizes)
            same = (first.events, first.categories, first.marks) == (second.events, second.categories, second.marks)
            self._samples, self._linear = (first, second), same
        if not self._linear:
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
        other._samples = None
        return other

    def _trace(self, batch_size: int) -> Trace:
        """As traced, once for this family and all that share it."""
        if batch_size not in self._traced:
            workload = self._workload.model_copy(update={"batch_size": batch_size})
            self._traced[batch_size] = trace_steps(
                workload, self._device, cublas_workspace_bytes=self._traced_workspace_bytes
            )
        found = self._traced[batch_size]
        same = self._workspace_bytes == self._traced_workspace_bytes
        return found if same else _with_workspace(found, self._workspace_bytes)


def _with_workspace(trace: Trace, size_bytes: int) -> Trace:
    pairs = zip(trace.sizes_bytes, trace.categories, strict=True)
    return replace(trace, sizes_bytes=[size_bytes if kind is Category.WORKSPACE else size for size, kind in pairs])
