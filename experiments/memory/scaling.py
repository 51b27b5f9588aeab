"""The trace of any batch size from the traces of two: a step does the same at every size, on blocks that grow."""

from dataclasses import replace

from experiments.memory.contract import Device, Workload
from experiments.memory.step import trace_steps
from experiments.memory.trace import Trace

SAMPLES = (2, 4)
"""Two sizes at which every operation takes its usual path; a batch of one makes some tensors contiguous by chance."""


class TraceFamily:
    """Traces of a workload at any batch size."""

    def __init__(self, workload: Workload, device: Device = "cuda", *, cublas_workspace_bytes: int = 0) -> None:
        self._workload = workload
        self._device = device
        self._workspace_bytes = cublas_workspace_bytes
        first, second = (self._trace(size) for size in SAMPLES)
        same = (first.events, first.categories, first.marks) == (second.events, second.categories, second.marks)
        self._samples = (first, second) if same else None

    def at(self, batch_size: int) -> Trace:
        """The trace at this batch size: a line through the two samples, block by block; traced anew for one picture."""
        if self._samples is None or batch_size < SAMPLES[0]:
            return self._trace(batch_size)
        first, second = self._samples
        steps, width = batch_size - SAMPLES[0], SAMPLES[1] - SAMPLES[0]
        pairs = zip(first.sizes_bytes, second.sizes_bytes, strict=True)
        return replace(first, sizes_bytes=[low + (high - low) * steps // width for low, high in pairs])

    def _trace(self, batch_size: int) -> Trace:
        workload = self._workload.model_copy(update={"batch_size": batch_size})
        return trace_steps(workload, self._device, cublas_workspace_bytes=self._workspace_bytes)
