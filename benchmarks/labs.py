"""Labs to measure: whole ones, as real processes, with the lab's own defaults and the stopwatch installed."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab import PROBE, ROOT, Lab

STOPWATCH = ROOT / "benchmarks" / "stopwatch"
# Tests shorten these so that rescue is quick; what is measured has what people get.
DEFAULTS = {
    "GPULAB_LEASE_SECONDS": "30",
    "GPULAB_HEARTBEAT_SECONDS": "5",
    "GPULAB_TICK_SECONDS": "1",
    "GPULAB_RING_AGAIN_SECONDS": "3",
    "GPULAB_STOP_GRACE_SECONDS": "10",
    "GPULAB_PROGRAM_SPARE": "true",
    "PYTHONPATH": f"{ROOT}:{PROBE}:{STOPWATCH}",
}


@contextmanager
def running_lab(**settings: str) -> Iterator[Lab]:
    """A lab with two slots and durable commits, warmed up by one job."""
    with tempfile.TemporaryDirectory(prefix="gpulab-bench-") as folder:
        lab = Lab(Path(folder), settings=DEFAULTS | settings, durable=True)
        try:
            lab.start()
            lab.wait_for(lab.submit("stopwatch"), "succeeded", timeout_seconds=120)
            yield lab
        finally:
            lab.stop()
