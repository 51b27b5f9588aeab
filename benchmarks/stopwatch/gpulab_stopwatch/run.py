"""What the stopwatch does."""

import sys
import time

from experiments.contract import Run, Stopped
from gpulab_stopwatch.spec import StopwatchResult, StopwatchSpec


def run(spec: StopwatchSpec, run: Run) -> StopwatchResult:
    started = time.time()
    ready = "torch" in sys.modules
    for step in range(spec.records):
        if run.should_stop():
            raise Stopped
        run.metrics(step, {"recorded": time.time()})
        time.sleep(spec.gap_seconds)
    return StopwatchResult(body_started_time=started, torch_was_ready=ready)
