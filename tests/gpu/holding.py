"""A process of its own that holds a tensor on one GPU."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

ALLOCATE = """
import sys, torch
held = torch.empty(int(sys.argv[1]), dtype=torch.uint8, device="cuda")
torch.cuda.synchronize()
print("up", flush=True)
sys.stdin.read()
"""


@contextmanager
def holding(uuid: str, size_bytes: int) -> Iterator[int]:
    """Yields its pid, which leads a session as that of a job does."""
    with subprocess.Popen(
        [sys.executable, "-c", ALLOCATE, str(size_bytes)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": uuid},
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n", "the process could not allocate"
        yield process.pid
        process.communicate()
