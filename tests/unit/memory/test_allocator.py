"""The model of the caching allocator keeps its published rules, whatever is asked of it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.memory.allocator import MIB, Block, CachingAllocator, OutOfMemory, round_request, segment_bytes

SIZES = st.one_of(
    st.integers(1, 4096),
    st.integers(MIB - 600, MIB + 600),
    st.integers(1, 30 * MIB),
    st.sampled_from([512, MIB, MIB + 1, 10 * MIB - 512, 10 * MIB, 19 * MIB, 20 * MIB]),
)
PROGRAMS = st.lists(st.one_of(SIZES, st.integers(-30, -1)), max_size=60)
"""A positive number allocates so many bytes, a negative one frees one of the blocks in use."""


def run(program: list[int], allocator: CachingAllocator) -> list[Block]:
    used: list[Block] = []
    for step in program:
        if step > 0:
            used.append(allocator.allocate(step))
        elif used:
            allocator.free(used.pop(-step % len(used)))
    return used


@pytest.mark.parametrize(
    ("size", "rounded", "segment"),
    [
        (1, 512, 2 * MIB),
        (512, 512, 2 * MIB),
        (513, 1024, 2 * MIB),
        (MIB, MIB, 2 * MIB),
        (MIB + 1, MIB + 512, 20 * MIB),
        (10 * MIB - 512, 10 * MIB - 512, 20 * MIB),
        (10 * MIB, 10 * MIB, 10 * MIB),
        (10 * MIB + 1, 10 * MIB + 512, 12 * MIB),
        (21 * MIB, 21 * MIB, 22 * MIB),
    ],
)
def test_requests_are_rounded_and_segments_sized_by_the_rules(size: int, rounded: int, segment: int) -> None:
    assert round_request(size) == rounded
    assert segment_bytes(rounded) == segment
    allocator = CachingAllocator()
    allocator.allocate(size)
    assert allocator.reserved_bytes == segment


def test_large_block_is_split_only_above_one_mebibyte_of_rest() -> None:
    allocator = CachingAllocator()
    assert allocator.allocate(19 * MIB).size_bytes == 20 * MIB
    assert allocator.free_blocks() == []
    allocator.allocate(9 * MIB)
    assert [block.size_bytes for block in allocator.free_blocks()] == [11 * MIB]


def test_smallest_sufficient_block_serves() -> None:
    allocator = CachingAllocator()
    small, _, large = allocator.allocate(12 * MIB), allocator.allocate(2 * MIB), allocator.allocate(40 * MIB)
    allocator.free(large)
    allocator.free(small)
    assert allocator.allocate(11 * MIB).address == small.address


def test_freed_memory_stays_reserved_until_the_cache_is_emptied() -> None:
    allocator = CachingAllocator()
    allocator.free(allocator.allocate(30 * MIB))
    assert (allocator.allocated_bytes, allocator.reserved_bytes) == (0, 30 * MIB)
    allocator.empty_cache()
    assert (allocator.reserved_bytes, allocator.peak_reserved_bytes) == (0, 30 * MIB)


def test_limit_gives_back_free_segments_before_it_refuses() -> None:
    allocator = CachingAllocator(limit_bytes=50 * MIB)
    allocator.free(allocator.allocate(30 * MIB))
    allocator.allocate(40 * MIB)
    assert allocator.reserved_bytes == 40 * MIB
    with pytest.raises(OutOfMemory, match="limit of 52428800"):
        allocator.allocate(20 * MIB)


def test_block_cannot_be_freed_twice() -> None:
    allocator = CachingAllocator()
    block = allocator.allocate(1)
    allocator.free(block)
    with pytest.raises(ValueError, match="is free already"):
        allocator.free(block)


@settings(max_examples=150, deadline=None)
@given(PROGRAMS)
def test_blocks_never_overlap_and_cover_every_segment(program: list[int]) -> None:
    allocator = CachingAllocator()
    used = run(program, allocator)
    blocks = sorted([*used, *allocator.free_blocks()], key=lambda block: block.address)
    ends = [block.address + block.size_bytes for block in blocks]
    assert all(end <= block.address for end, block in zip(ends, blocks[1:], strict=False))
    assert sum(block.size_bytes for block in blocks) == sum(allocator.segments.values()) == allocator.reserved_bytes


@settings(max_examples=150, deadline=None)
@given(PROGRAMS)
def test_marks_are_ordered_and_count_the_blocks_in_use(program: list[int]) -> None:
    allocator = CachingAllocator()
    used = run(program, allocator)
    assert allocator.allocated_bytes == sum(block.size_bytes for block in used)
    assert allocator.allocated_bytes <= allocator.reserved_bytes <= allocator.peak_reserved_bytes
    assert allocator.allocated_bytes <= allocator.peak_allocated_bytes <= allocator.peak_reserved_bytes


@settings(max_examples=150, deadline=None)
@given(PROGRAMS)
def test_freeing_all_leaves_one_block_a_segment(program: list[int]) -> None:
    allocator = CachingAllocator()
    for block in run(program, allocator):
        allocator.free(block)
    assert {block.address: block.size_bytes for block in allocator.free_blocks()} == allocator.segments
    allocator.empty_cache()
    assert allocator.reserved_bytes == 0


@settings(max_examples=100, deadline=None)
@given(PROGRAMS, SIZES)
def test_one_more_request_never_lowers_the_marks(program: list[int], size: int) -> None:
    allocator = CachingAllocator()
    run(program, allocator)
    before = (allocator.peak_allocated_bytes, allocator.peak_reserved_bytes)
    block = allocator.allocate(size)
    assert block.size_bytes >= round_request(size)
    assert allocator.peak_allocated_bytes >= before[0]
    assert allocator.peak_reserved_bytes >= before[1]


@settings(max_examples=100, deadline=None)
@given(PROGRAMS)
def test_same_requests_get_the_same_addresses(program: list[int]) -> None:
    first, second = CachingAllocator(), CachingAllocator()
    assert [b.address for b in run(program, first)] == [b.address for b in run(program, second)]
