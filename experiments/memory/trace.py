"""What a training step allocates and frees, in order, and its replay. No torch here."""

from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

from experiments.memory.allocator import Block, CachingAllocator


class Category(StrEnum):
    """What a block holds."""

    PARAMETERS = "parameters"
    BUFFERS = "buffers"
    BATCH = "batch"
    """Pictures and labels."""
    GRADIENTS = "gradients"
    """Gradients of parameters: what backward leaves in `.grad`."""
    OPTIMIZER_STATE = "optimizer_state"
    ACTIVATIONS = "activations"
    """Made by a forward pass and alive at its end: what backward needs, and the outputs."""
    TEMPORARY = "temporary"
    """All else: gradients of activations, what an operation makes and drops, copies of an optimizer's step."""
    WORKSPACE = "workspace"
    """What a library keeps for itself through the allocator."""


@dataclass(slots=True)
class Trace:
    """Blocks by number, and the events in order: `n + 1` where block n is allocated, `-(n + 1)` where it is freed."""

    sizes_bytes: list[int] = field(default_factory=list)
    categories: list[Category] = field(default_factory=list)
    events: list[int] = field(default_factory=list)
    marks: list[tuple[int, str]] = field(default_factory=list)
    """How many events had happened when a phase began, and its name."""
    convolutions: list[int] = field(default_factory=list)
    """How many events had happened before each convolution, forward or backward, that may want scratch memory."""

    def allocate(self, size_bytes: int, category: Category) -> int:
        """Note a new block; returns its number."""
        self.sizes_bytes.append(size_bytes)
        self.categories.append(category)
        self.events.append(len(self.sizes_bytes))
        return len(self.sizes_bytes) - 1

    def free(self, block: int) -> None:
        """Note the end of a block."""
        self.events.append(-(block + 1))

    def mark(self, phase: str) -> None:
        """Note that a phase begins."""
        self.marks.append((len(self.events), phase))


@dataclass(frozen=True, slots=True)
class Peak:
    """The moment with the most allocated bytes."""

    requested_bytes: int
    event: int
    phase: str
    by_category: dict[Category, int]
    """Requested bytes alive then."""


@dataclass(frozen=True, slots=True)
class Level:
    """The allocator when a phase ends; the peak is that of the phase."""

    phase: str
    allocated_bytes: int
    reserved_bytes: int
    peak_allocated_bytes: int


@dataclass(frozen=True, slots=True)
class Replay:
    """What the caching allocator shows over a trace."""

    peak: Peak
    peak_allocated_bytes: int
    """Rounded blocks, as `torch.cuda.max_memory_allocated` counts."""
    peak_reserved_bytes: int
    levels: list[Level]


def tensor_peak(trace: Trace) -> Peak:
    """The peak of requested bytes, without any allocator; the first of equals."""
    live = peak = at = 0
    for index, event in enumerate(trace.events):
        live += trace.sizes_bytes[event - 1] if event > 0 else -trace.sizes_bytes[-event - 1]
        if live > peak:
            peak, at = live, index
    return _peak_at(trace, at)


def replay(trace: Trace, limit_bytes: int | None = None, *, scratch_bytes: int = 0) -> Replay:
    """Run the trace through the caching allocator. Raises `allocator.OutOfMemory` where a limit is given.

    `scratch_bytes` are taken and returned at the start of every convolution.
    """
    allocator = CachingAllocator(limit_bytes)
    convolutions = frozenset(trace.convolutions) if scratch_bytes else frozenset()
    blocks: dict[int, Block] = {}
    levels: list[Level] = []
    marks = [*trace.marks, (len(trace.events), "end")]
    at = phase_peak = 0
    for (first, phase), (end, _) in pairwise(marks):
        phase_peak = allocator.allocated_bytes
        for index in range(first, end):
            event = trace.events[index]
            if index in convolutions:
                allocator.free(allocator.allocate(scratch_bytes))
                phase_peak = max(phase_peak, allocator.allocated_bytes)
            if event < 0:
                allocator.free(blocks.pop(-event))
                continue
            highest = allocator.peak_allocated_bytes
            blocks[event] = allocator.allocate(trace.sizes_bytes[event - 1])
            phase_peak = max(phase_peak, allocator.allocated_bytes)
            if allocator.peak_allocated_bytes > highest:
                at = index
        levels.append(Level(phase, allocator.allocated_bytes, allocator.reserved_bytes, phase_peak))
    return Replay(_peak_at(trace, at), allocator.peak_allocated_bytes, allocator.peak_reserved_bytes, levels)


def _peak_at(trace: Trace, at: int) -> Peak:
    alive: set[int] = set()
    for event in trace.events[: at + 1]:
        if event > 0:
            alive.add(event - 1)
        else:
            alive.discard(-event - 1)
    by_category = dict.fromkeys(Category, 0)
    for block in alive:
        by_category[trace.categories[block]] += trace.sizes_bytes[block]
    phase = [name for first, name in trace.marks if first <= at]
    return Peak(sum(by_category.values()), at, phase[-1] if phase else "", by_category)
