"""What the sampler costs: CPU share of one core at 10 Hz, against the fake NVML, while the jobs sit still.

    python -m benchmarks.sampler_cost --seconds 20 --jobs 2 --gpus 1

The fake answers at once, so this is our own part: Python, /proc, JSON, the file. A real driver adds its own time.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import psutil

from experiments.contract import SAMPLES_FILE
from tests.fakes.nvml import GIB, FakeGpu, FakeNvml, build_library
from worker.measuring.nvml import Nvml
from worker.measuring.sampler import Sampler, Watched

JOB = (
    "import subprocess, sys\n"
    "wait = [sys.executable, '-c', 'import sys; sys.stdin.read()']\n"
    "for _ in range(int(sys.argv[1])): subprocess.Popen(wait, stdin=sys.stdin)\n"
    "print('up', flush=True); sys.stdin.read()\n"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--hz", type=float, default=10)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--gpus", type=int, default=1)
    parser.add_argument("--children", type=int, default=4, help="processes beside each job's leader")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        world = FakeNvml(Path(name), build_library(Path(name)))
        jobs = [start_job(options.children) for _ in range(options.jobs)]
        processes: dict[int | str, int | None] = {job.pid: GIB for job in jobs}
        gpus = [FakeGpu(f"GPU-{n}", processes=processes) for n in range(options.gpus)]
        world.write(*gpus)
        stack.enter_context(world.loaded())
        nvml = Nvml.open()
        assert isinstance(nvml, Nvml), nvml
        sampler = Sampler(nvml, options.hz)
        for number, job in enumerate(jobs):
            folder = Path(name) / f"job-{number}"
            folder.mkdir()
            gpu = gpus[number % len(gpus)].uuid
            sampler.watch(Watched(f"job-{number}", folder, job.pid, (gpu,), 2 * GIB, None))
        cost(sampler, options.seconds)
        written = len((Path(name) / "job-0" / SAMPLES_FILE).read_text().splitlines())
        print(f"{len(psutil.pids())} processes on the machine; job-0 has {written} lines")
        for job in jobs:
            job.communicate()
        nvml.close()


def start_job(children: int) -> "subprocess.Popen[bytes]":
    job = subprocess.Popen(
        [sys.executable, "-c", JOB, str(children)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert job.stdout is not None
    job.stdout.readline()
    return job


def cost(sampler: Sampler, seconds: float) -> None:
    start, cpu = time.monotonic(), time.process_time()
    sampler.start()
    time.sleep(seconds)
    sampler.stop()
    elapsed, used = time.monotonic() - start, time.process_time() - cpu
    print(f"{100 * used / elapsed:.2f} % of a core over {elapsed:.1f} s")


if __name__ == "__main__":
    main()
