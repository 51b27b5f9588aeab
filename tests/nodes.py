"""Many GPU machines on this one: `python -m tests.nodes --count 20 --gpus 4 --seconds 0.2`.

Each is the real worker with a driver made of text and a queue of its own; only its jobs are no processes: they take
their time and have a result. One program is loaded and forked for each, so that twenty fit where one with torch would.
"""

import argparse
import os
import signal
import sys
import time
from pathlib import Path

import orjson

from emulator.world import VARIABLE
from gpulab.run.files import RECORDS_FILE
from models.logs import configure_logs
from models.settings import NodeSettings
from server.child_process import die_with_parent
from tests.fakes.nvml import FakeGpu, FakeNvml
from worker import app
from worker.runs.zygote import End


class Pretended:
    """A job that ends after this number of seconds, or when asked to; as `worker.runs.zygote.JobProcess`."""

    end = End(0)

    def __init__(self, folder: Path, seconds: float) -> None:
        self.pid = os.getpid()
        self._folder = folder
        self._end = time.monotonic() + seconds
        self._record({"type": "started", "time": time.time(), "pid": self.pid, "device": "cuda", "versions": {}})

    def wait(self, timeout_seconds: float) -> bool:
        left = self._end - time.monotonic()
        if left > timeout_seconds:
            time.sleep(timeout_seconds)
            return False
        time.sleep(max(0.0, left))
        self._record({"type": "result", "time": time.time(), "value": {"total": 0, "resumed_from": 0}})
        return True

    def stop(self) -> None:
        self._end = 0.0

    def kill(self) -> None:
        self._end = 0.0

    def _record(self, record: dict[str, object]) -> None:
        with (self._folder / RECORDS_FILE).open("ab") as file:
            file.write(orjson.dumps(record) + b"\n")


class PretendingZygote:
    """As `worker.runs.zygote.Zygote`."""

    seconds = 0.0

    def __init__(self, _runs: Path, *, predicts: bool) -> None:
        """There is nothing of it on the disk."""

    def warm(self) -> None:
        """There is nothing to load."""

    def await_warm(self, _timeout_seconds: float | None = None) -> bool:
        """It is warm."""
        return True

    def start(self, folder: Path, _visible_gpus: str) -> Pretended:
        return Pretended(folder, self.seconds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--gpus", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=0.2)
    parser.add_argument("--folder", type=Path, required=True)
    chosen = parser.parse_args()
    PretendingZygote.seconds = chosen.seconds
    app.Zygote = PretendingZygote  # type: ignore[misc, assignment] # the one thing that is not real
    app.GpuConstants.settle = lambda _: None  # type: ignore[method-assign] # no process of it holds memory to measure
    parent = os.getpid()
    children = []
    for number in range(chosen.count):
        if not (pid := os.fork()):
            die_with_parent(parent, signal.SIGKILL)
            os.setsid()
            os._exit(serve(f"sim-{number:02}", chosen.folder, chosen.gpus))
        children.append(pid)
    signal.signal(signal.SIGTERM, lambda *_: [os.kill(pid, signal.SIGTERM) for pid in children])
    return max(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children)


def serve(name: str, folder: Path, gpus: int) -> int:
    """Be one machine until SIGTERM."""
    own = folder / name
    own.mkdir(parents=True)
    world = FakeNvml(own, Path(os.environ["FAKE_NVML_LIBRARY"]))
    world.write(*(FakeGpu(f"GPU-{name}-{index}") for index in range(gpus)))
    os.environ[VARIABLE] = str(world.path)
    configure_logs()
    app.Worker(NodeSettings(node=name, runs_folder=own / "runs", slots=0)).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
