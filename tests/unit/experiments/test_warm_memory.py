"""Gathering the warm process's memory into huge pages."""

import subprocess
import sys

GATHERED = """
import os
from experiments.warm import HUGE_PAGE_BYTES, gather_into_huge_pages
block = bytearray(os.urandom(1024) * (8 * HUGE_PAGE_BYTES // 1024))
before = bytes(block)
gathered_bytes = gather_into_huge_pages()
assert block == before
assert gathered_bytes % HUGE_PAGE_BYTES == 0
assert gather_into_huge_pages() % HUGE_PAGE_BYTES == 0
print("same")
"""


def test_content_stays_the_same_whether_or_not_the_kernel_has_huge_pages() -> None:
    done = subprocess.run([sys.executable, "-c", GATHERED], capture_output=True, text=True, timeout=100)
    assert done.stdout == "same\n", done.stderr
