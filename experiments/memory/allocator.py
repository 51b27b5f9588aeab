"""A model of PyTorch's CUDA caching allocator with its default settings, one stream, in plain Python.

Rules and constants follow `c10/cuda/CUDACachingAllocator.cpp` of PyTorch 2.x (its public notes: "CUDA semantics, memory
management"): requests are rounded up to 512 bytes; up to 1 MiB they come from segments of 2 MiB, below 10 MiB from
segments of 20 MiB, above from segments rounded up to 2 MiB. The smallest free block that is large enough serves, the
lowest address among equals; what is left over is split off from 512 bytes on in the small pool and above 1 MiB in the
large one. A freed block joins its free neighbours and stays reserved. All sizes are bytes.
"""

from bisect import bisect_left, insort
from dataclasses import dataclass

MIB = 1 << 20
MIN_BLOCK_BYTES = 512
SMALL_REQUEST_BYTES = MIB
SMALL_SEGMENT_BYTES = 2 * MIB
LARGE_SEGMENT_BYTES = 20 * MIB
MIN_LARGE_REQUEST_BYTES = 10 * MIB
ROUND_LARGE_BYTES = 2 * MIB


class OutOfMemory(Exception):  # noqa: N818 - the name is the event's, as in torch
    """A request that the limit cannot serve even after every wholly free segment was given back."""

    def __init__(self, requested_bytes: int, reserved_bytes: int, allocated_bytes: int, limit_bytes: int) -> None:
        super().__init__(
            f"{requested_bytes} bytes requested with {allocated_bytes} allocated and {reserved_bytes} reserved "
            f"of a limit of {limit_bytes}"
        )
        self.requested_bytes = requested_bytes
        self.reserved_bytes = reserved_bytes
        self.allocated_bytes = allocated_bytes


def round_request(size_bytes: int) -> int:
    """The bytes that a request takes from a block: a multiple of 512, at least 512."""
    return max(MIN_BLOCK_BYTES, -(-size_bytes // MIN_BLOCK_BYTES) * MIN_BLOCK_BYTES)


def segment_bytes(rounded_bytes: int) -> int:
    """The size of the segment that a rounded request asks of the driver when no free block serves."""
    if rounded_bytes <= SMALL_REQUEST_BYTES:
        return SMALL_SEGMENT_BYTES
    if rounded_bytes < MIN_LARGE_REQUEST_BYTES:
        return LARGE_SEGMENT_BYTES
    return -(-rounded_bytes // ROUND_LARGE_BYTES) * ROUND_LARGE_BYTES


@dataclass(slots=True, eq=False)
class Block:
    """A stretch of one segment, in use or free; `previous` and `next` are its neighbours in the segment."""

    address: int
    size_bytes: int
    small: bool
    allocated: bool = False
    previous: "Block | None" = None
    next: "Block | None" = None


class CachingAllocator:
    """Serves requests by handing out blocks; keeps the marks that `torch.cuda.memory_stats` would show."""

    def __init__(self, limit_bytes: int | None = None) -> None:
        self.allocated_bytes = 0
        self.reserved_bytes = 0
        self.peak_allocated_bytes = 0
        self.peak_reserved_bytes = 0
        self._limit_bytes = limit_bytes
        self._next_address = 0
        self._free: dict[bool, list[tuple[int, int, Block]]] = {True: [], False: []}
        """By size, then address, which no two blocks share: blocks themselves are never compared."""
        self._segments: dict[int, int] = {}

    def allocate(self, size_bytes: int) -> Block:
        """The block that serves `size_bytes`, 1 or more. Raises `OutOfMemory`."""
        rounded = round_request(size_bytes)
        small = rounded <= SMALL_REQUEST_BYTES
        block = self._best_fit(rounded, small=small) or self._new_segment(rounded, small=small)
        self._split(block, rounded)
        block.allocated = True
        self.allocated_bytes += block.size_bytes
        self.peak_allocated_bytes = max(self.peak_allocated_bytes, self.allocated_bytes)
        return block

    def free(self, block: Block) -> None:
        """Take a block back and join it with its free neighbours."""
        if not block.allocated:
            raise ValueError(f"the block at {block.address} is free already")
        block.allocated = False
        self.allocated_bytes -= block.size_bytes
        if block.next is not None and not block.next.allocated:
            self._take_from_pool(block.next)
            self._join(block, block.next)
        if block.previous is not None and not block.previous.allocated:
            self._take_from_pool(block.previous)
            block = self._join(block.previous, block)
        self._put_into_pool(block)

    def empty_cache(self) -> None:
        """Give every wholly free segment back to the driver."""
        for small, pool in self._free.items():
            kept = []
            for entry in pool:
                size, address, _ = entry
                if self._segments.get(address) == size:
                    del self._segments[address]
                    self.reserved_bytes -= size
                else:
                    kept.append(entry)
            self._free[small] = kept

    def free_blocks(self) -> list[Block]:
        """The free blocks by address."""
        return sorted((entry[2] for pool in self._free.values() for entry in pool), key=lambda block: block.address)

    @property
    def segments(self) -> dict[int, int]:
        """Address and size of every segment."""
        return dict(self._segments)

    def _best_fit(self, rounded: int, *, small: bool) -> Block | None:
        pool = self._free[small]
        index = bisect_left(pool, (rounded, -1))
        return pool.pop(index)[2] if index < len(pool) else None

    def _new_segment(self, rounded: int, *, small: bool) -> Block:
        size = segment_bytes(rounded)
        if self._limit_bytes is not None and self.reserved_bytes + size > self._limit_bytes:
            self.empty_cache()
            if self.reserved_bytes + size > self._limit_bytes:
                raise OutOfMemory(rounded, self.reserved_bytes, self.allocated_bytes, self._limit_bytes)
        block = Block(self._next_address, size, small)
        self._segments[block.address] = size
        self._next_address += size
        self.reserved_bytes += size
        self.peak_reserved_bytes = max(self.peak_reserved_bytes, self.reserved_bytes)
        return block

    def _split(self, block: Block, rounded: int) -> None:
        remaining = block.size_bytes - rounded
        if not (remaining >= MIN_BLOCK_BYTES if block.small else remaining > SMALL_REQUEST_BYTES):
            return
        rest = Block(block.address + rounded, remaining, block.small, previous=block, next=block.next)
        if block.next is not None:
            block.next.previous = rest
        block.next = rest
        block.size_bytes = rounded
        self._put_into_pool(rest)

    def _join(self, left: Block, right: Block) -> Block:
        left.size_bytes += right.size_bytes
        left.next = right.next
        if right.next is not None:
            right.next.previous = left
        return left

    def _put_into_pool(self, block: Block) -> None:
        insort(self._free[block.small], (block.size_bytes, block.address, block))

    def _take_from_pool(self, block: Block) -> None:
        pool = self._free[block.small]
        del pool[bisect_left(pool, (block.size_bytes, block.address))]
