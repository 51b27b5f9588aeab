"""The scheduler, with each look at the queue timed: `python -m benchmarks.timed_scheduler`, GPULAB_TICKS_FILE set."""

import os
import sys
import time
from pathlib import Path

import scheduler.__main__ as program
from scheduler.loop import Scheduler


class Timed(Scheduler):
    def schedule(self, *, explain: bool) -> None:
        started = time.perf_counter()
        super().schedule(explain=explain)
        with Path(os.environ["GPULAB_TICKS_FILE"]).open("a") as file:
            file.write(f"{time.perf_counter() - started}\n")


if __name__ == "__main__":
    program.Scheduler = Timed  # type: ignore[misc]
    sys.exit(program.main())
