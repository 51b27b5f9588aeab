"""A close look at the first steps of a run, in which memory takes the shape that it keeps."""

from contextlib import ExitStack

from experiments.contract import Run
from experiments.memory import snapshot
from experiments.training.memory import read_memory

CLOSELY = 2
"""The optimizer's state meets the activations only in the second step."""


class FirstSteps:
    """Marks the phases within the first steps, reads the allocator at each mark, and keeps who held memory at the peak.

    Later steps are marked as a whole, since marks of each would outnumber the metrics.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._left = CLOSELY
        self._history = ExitStack()

    def begin(self, phase: str) -> None:
        """A phase of a step begins: `forward`, `backward` or `step`."""
        if not self._left:
            return
        if phase == "forward" and self._left == CLOSELY:
            self._history.enter_context(snapshot.history())
        self._run.phase(phase)
        record_memory(self._run)

    def end_step(self) -> None:
        """An optimizer step is done."""
        if not self._left:
            return
        self._left -= 1
        record_memory(self._run)
        if not self._left:
            snapshot.keep(self._run, snapshot.AT_THE_PEAK)
            self._history.close()
            self._run.phase("train")


def record_memory(run: Run) -> None:
    """One reading of the caching allocator; nothing without a GPU."""
    memory = read_memory(run.device)
    if memory.allocated_bytes is not None and memory.reserved_bytes is not None:
        run.memory(
            allocated_bytes=memory.allocated_bytes,
            reserved_bytes=memory.reserved_bytes,
            peak_allocated_bytes=memory.peak_allocated_bytes,
        )
