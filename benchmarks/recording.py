"""What recording costs a training loop: a metric each step and samples at 10 Hz, beside the same loop without.

The sampler runs in its own process, as it does in the worker, and only while a recording block runs.
"""

import multiprocessing
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

import torch
from torch import nn

from benchmarks.figures import Figure, bootstrap_interval
from experiments.hosting.run_directory import RunDirectory
from worker.measuring.nvml import Nvml
from worker.measuring.sampler import Sampler, Watched

HZ = 10.0
Step = Callable[[], float]


def measure(*, quick: bool) -> list[Figure]:
    """Pairs of blocks in random order; of each block the median step, of each pair the difference in percent.

    The loop's own CPU time is what counts, since other load on the machine does not lengthen it. What the sampler takes
    of a core stands beside it: on a machine with no core to spare it adds to the cost.
    """
    pairs, steps = (6, 20) if quick else (60, 100)
    with tempfile.TemporaryDirectory(prefix="gpulab-bench-") as name:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        sampler = context.Process(target=sample_on_order, args=(theirs, os.getpid(), name), daemon=True)
        sampler.start()
        try:
            found = compare(Path(name), ours, pairs, steps)
        finally:
            ours.send(None)
            sampler.join(10)
        record_seconds = cost_of_a_record(Path(name) / "alone")
    cpu = [pair.percent(lambda block: block.cpu_seconds) for pair in found]
    wall = [pair.percent(lambda block: block.wall_seconds) for pair in found]
    low, high = bootstrap_interval(cpu)
    wall_low, wall_high = bootstrap_interval(wall)
    step_seconds = statistics.median(pair.without.cpu_seconds for pair in found)
    beside = {
        "wall_clock_percent": statistics.median(wall),
        "wall_clock_interval_from_percent": wall_low,
        "wall_clock_interval_to_percent": wall_high,
        "sampler_percent_of_a_core": statistics.median(pair.sampler_percent for pair in found),
        "step_ms": step_seconds * 1000,
        "one_record_microseconds": record_seconds * 1e6,
    }
    what = "what recording costs a training loop, of its CPU time: a metric a step and samples at 10 Hz"
    spread = "95 % interval of the median"
    value = statistics.median(cpu)
    return [
        Figure("recording", what, "%", "lower", value, low, high, spread, len(cpu), bar=2.0, aim=0.5, beside=beside)
    ]


@dataclass(frozen=True, slots=True)
class Block:
    """Medians of the steps of one block."""

    wall_seconds: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Pair:
    recorded: Block
    without: Block
    sampler_percent: float

    def percent(self, of: Callable[[Block], float]) -> float:
        return 100 * (of(self.recorded) / of(self.without) - 1)


def compare(folder: Path, sampler: Pipe, pairs: int, steps: int) -> list[Pair]:
    torch.set_num_threads(1)
    step = training_step()
    run = RunDirectory(folder / "run")
    found = []
    timed_block(step, steps)
    generator = random.Random(0)
    for number in range(pairs):
        blocks: dict[bool, Block] = {}
        sampler_percent = 0.0
        for recorded in generator.sample([True, False], 2):
            taken, start = ordered(sampler, watch=recorded), time.perf_counter()
            blocks[recorded] = timed_block(recording(step, run, number * steps) if recorded else step, steps)
            if recorded:
                sampler_percent = 100 * (ordered(sampler, watch=False) - taken) / (time.perf_counter() - start)
        found.append(Pair(blocks[True], blocks[False], sampler_percent))
    run.close()
    return found


def training_step() -> Step:
    """A network of a million parameters on batches of 128 CIFAR-sized images: some 10 ms a step on one core."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 320), nn.ReLU(), nn.Linear(320, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    images, labels = torch.randn(128, 3072), torch.randint(10, (128,))

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()  # type: ignore[no-untyped-call] # torch leaves it unannotated
        optimizer.step()
        return loss.item()

    return step


def recording(step: Step, run: RunDirectory, first: int) -> Step:
    """The step that also records its loss."""

    def both() -> float:
        loss = step()
        run.metrics(first, {"loss": loss})
        return loss

    return both


def timed_block(step: Step, steps: int) -> Block:
    wall, cpu = [], []
    for _ in range(steps):
        start, cpu_start = time.perf_counter(), time.thread_time()
        step()
        cpu.append(time.thread_time() - cpu_start)
        wall.append(time.perf_counter() - start)
    return Block(statistics.median(wall), statistics.median(cpu))


def ordered(sampler: Pipe, *, watch: bool) -> float:
    """Turn the sampling of this process on or off; returns the CPU seconds that the sampler has taken so far."""
    sampler.send(watch)
    taken: float = sampler.recv()
    return taken


def cost_of_a_record(folder: Path, records: int = 20_000) -> float:
    """Seconds that one call of `metrics` takes."""
    run = RunDirectory(folder)
    start = time.perf_counter()
    for step in range(records):
        run.metrics(step, {"loss": step / 7})
    elapsed = time.perf_counter() - start
    run.close()
    return elapsed / records


def sample_on_order(pipe: Pipe, pid: int, folder: str) -> None:
    """Body of the sampler's process: True watches the loop's process, False lets it be, None ends."""
    sampler = Sampler(Nvml.open(), HZ)
    sampler.start()
    while (order := pipe.recv()) is not None:
        sampler.unwatch("loop")
        if order:
            sampler.watch(Watched("loop", Path(folder) / "run", os.getsid(pid), (), None, None))
        pipe.send(time.process_time())
    sampler.stop()
