"""Pages of a waiting process: gathered where forks copy them, given back where they can be read again."""

import ctypes
import os
import re
from collections.abc import Iterator
from pathlib import Path

HUGE_PAGE_BYTES = 2 * 2**20
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
ENTRIES = HUGE_PAGE_BYTES // PAGE_BYTES
ENTRY_BYTES = 8
"""Of /proc/self/pagemap, one for each page: https://docs.kernel.org/admin-guide/mm/pagemap.html."""
PRESENT = 0x80
"""The highest bit of an entry: the page is in memory."""
MADV_COLLAPSE = 25
MADV_DONTNEED = 4
MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ ([1-9]\d*)\s")
PRIVATE_MEMORY = re.compile(r"([0-9a-f]+)-([0-9a-f]+) rw-p \S+ \S+ 0\s*(\[heap\])?")


def gather_into_huge_pages() -> int:
    """Put this process's private memory into huge pages where the kernel can (Linux 6.1); returns the bytes moved.

    A fork copies one page-table entry a page, and the end of a process takes them down again: in pages of 4 KiB that is
    most of what starting a job costs. What is mostly empty stays as it is: a huge page would fill it.
    """
    # Refused by an older kernel or for want of memory, it stays as it is.
    return sum(HUGE_PAGE_BYTES for start in _mostly_filled() if _madvise(start, HUGE_PAGE_BYTES, MADV_COLLAPSE))


def _mostly_filled() -> Iterator[int]:
    """Addresses of private memory where a huge page could be, and at least half of its pages are in memory."""
    with Path("/proc/self/pagemap").open("rb") as pagemap:
        for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
            if found := PRIVATE_MEMORY.fullmatch(line):
                first, end = -(-int(found[1], 16) // HUGE_PAGE_BYTES), int(found[2], 16) // HUGE_PAGE_BYTES
                for start in range(first * HUGE_PAGE_BYTES, end * HUGE_PAGE_BYTES, HUGE_PAGE_BYTES):
                    entries = os.pread(pagemap.fileno(), ENTRIES * ENTRY_BYTES, start // PAGE_BYTES * ENTRY_BYTES)
                    if sum(byte >= PRESENT for byte in entries[ENTRY_BYTES - 1 :: ENTRY_BYTES]) >= ENTRIES / 2:
                        yield start


def let_go_of_files() -> int:
    """Unmap the pages of libraries that the imports touched; returns the bytes. They stay in the kernel's cache.

    A forked job does not inherit them and maps what it needs either way. What was written to, as the linker does, is
    kept: it is nowhere else.
    """
    freed_bytes = 0
    for mapping in Path("/proc/self/smaps").read_text(encoding="utf-8").split("VmFlags:"):
        found = MAPPING.search(mapping)
        if found is None or "w" in found[3] or "\nAnonymous:             0 kB" not in mapping:
            continue
        resident = re.search(r"^Rss: +(\d+) kB", mapping, re.MULTILINE)
        if resident and _madvise(int(found[1], 16), int(found[2], 16) - int(found[1], 16), MADV_DONTNEED):
            freed_bytes += int(resident[1]) * 1024
    return freed_bytes


def _madvise(start: int, length: int, advice: int) -> bool:
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return bool(madvise(start, length, advice) == 0)
