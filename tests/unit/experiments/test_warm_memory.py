"""What the warm process does with its memory once everything is loaded."""

import subprocess
import sys

GATHERED = """
import os
from experiments.hosting.pages import HUGE_PAGE_BYTES, gather_into_huge_pages
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


LET_GO = """
import mmap
import os
from pathlib import Path
import torch
from experiments.hosting import pages

def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[2]) * os.sysconf("SC_PAGE_SIZE")

before = resident_bytes()
with (Path(torch.__file__).parent / "lib" / "libtorch_python.so").open("rb") as file:
    library = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
content = bytes(library)
grown = resident_bytes() - before
assert grown >= len(content), (grown, len(content))
assert pages.let_go_of_files() >= len(content)
assert resident_bytes() - before < grown / 2
assert bytes(library) == content
layer = torch.nn.Linear(3, 1)
layer(torch.ones(2, 3)).sum().backward()
assert layer.weight.grad.tolist() == [[2.0, 2.0, 2.0]]
print("works on")
"""


def test_pages_of_libraries_go_back_to_the_kernel_and_are_found_again() -> None:
    done = subprocess.run([sys.executable, "-c", LET_GO], capture_output=True, text=True, timeout=100)
    assert done.stdout == "works on\n", done.stderr
