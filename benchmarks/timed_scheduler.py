"""The scheduler, with each look at the queue timed: `python -m benchmarks.timed_scheduler`, GPULAB_TICKS_FILE set.

A line for each look: its seconds, and the Celery messages that jobs' leases sent since the one before.
"""

import os
import sys
import time
from pathlib import Path
from uuid import UUID

import scheduler.__main__ as lab
from scheduler.loop import Scheduler


class Timed(Scheduler):
    _messages = 0

    def schedule(self, *, explain: bool) -> None:
        started = time.perf_counter()
        super().schedule(explain=explain)
        with Path(os.environ["GPULAB_TICKS_FILE"]).open("a") as file:
            file.write(f"{time.perf_counter() - started} {self._messages}\n")
        self._messages = 0

    def _ring(self, node: str, job_id: UUID, token: UUID) -> None:
        self._messages += 1
        super()._ring(node, job_id, token)


if __name__ == "__main__":
    setattr(lab, "Scheduler", Timed)  # noqa: B010 - the module does not export the name
    sys.exit(lab.main())
