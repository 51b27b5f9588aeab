"""What the zygote loads before any job arrives. Importing it must not initialise CUDA nor start a thread."""

import contextlib
import ctypes
import gc
import re
from importlib import import_module
from pathlib import Path

import matplotlib as mpl
import numpy  # noqa: ICN001, F401 - loaded for its side effect
import torch  # noqa: F401 - same
import torchvision  # noqa: F401 - same

from experiments.memory import processes, warm
from experiments.registry import runnable
from experiments.versions import versions

HUGE_PAGE_BYTES = 2 * 2**20
MADV_COLLAPSE = 25
MADV_DONTNEED = 4
MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ ([1-9]\d*)\s")
PRIVATE_MEMORY = re.compile(r"([0-9a-f]+)-([0-9a-f]+) rw-p \S+ \S+ 0\s*(\[heap\])?")


def gather_into_huge_pages() -> int:
    """Put this process's private memory into huge pages where the kernel can (Linux 6.1); returns the bytes moved.

    A fork copies one page-table entry a page, and the end of a process takes them down again: in pages of 4 KiB that is
    most of what starting a job costs.
    """
    gathered_bytes = 0
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        if found := PRIVATE_MEMORY.fullmatch(line):
            start = -(-int(found[1], 16) // HUGE_PAGE_BYTES) * HUGE_PAGE_BYTES
            length = int(found[2], 16) // HUGE_PAGE_BYTES * HUGE_PAGE_BYTES - start
            # Refused by an older kernel or for want of memory, it stays as it is.
            if length > 0 and _madvise(start, length, MADV_COLLAPSE):
                gathered_bytes += length
    return gathered_bytes


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


mpl.use("Agg")
import_module("matplotlib.figure")
import_module("matplotlib.backends.backend_agg")
versions()
for _experiment in runnable().values():
    for _reference in filter(None, (_experiment.run, _experiment.figures)):
        # A module that cannot be imported fails its own job with a clear traceback; it must not fail every job.
        with contextlib.suppress(Exception):
            import_module(_reference.partition(":")[0])
if processes.can_fork():
    warm.load_libraries()
# A job's collector would look through all of it, and its marks make a copy of every page: a third of a second, 90 MB.
gc.collect()
gc.freeze()
gather_into_huge_pages()
let_go_of_files()
