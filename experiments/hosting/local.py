"""A run without a server: a process forked from one that has torch loaded already, and its run directory."""

import os
import time
from collections.abc import Callable, Mapping
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from experiments.contract import OUTPUT_FILE, GpuUse
from experiments.hosting.record_reader import Broken, RecordReader
from experiments.hosting.wire import Ending, Record, RunOrder
from experiments.registry import runnable

POLL_SECONDS = 0.1
STOP_GRACE_SECONDS = 15.0


def order_of(
    submission: Mapping[str, Any], *, datasets: Path, cache: Path, device: str = "auto", threads: int | None = None
) -> RunOrder:
    """What is to be run, from `experiment`, `spec` and `seed`. Raises ValueError."""
    slug = str(submission.get("experiment"))
    if slug not in runnable():
        raise ValueError(f"unknown experiment {slug!r}; known: {', '.join(runnable())}")
    try:
        spec = runnable()[slug].spec.model_validate(submission.get("spec") or {})
    except ValidationError as error:
        raise ValueError(" ".join(str(error).split())) from None
    return RunOrder(
        experiment=slug,
        spec=spec.model_dump(mode="json"),
        seed=int(submission.get("seed") or 0),
        device=_device(device, slug),
        threads=threads or os.cpu_count() or 1,
        datasets_folder=datasets.resolve(),
        cache_folder=cache.resolve(),
    )


def run_in(folder: Path, order: RunOrder, take: Callable[[Record], object] | None = None) -> Ending | None:
    """Run it in `folder`, which is made if missing, and hand over each record as it comes.

    Returns how the run said that it ended; None if its process ended without a word.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is loaded; see worker/runs/zygote.py
    folder.mkdir(parents=True, exist_ok=True)
    order.write(folder)
    # Processes fork from a server that has imported torch and the catalogue, once for all runs of this program.
    context = get_context("forkserver")
    context.set_forkserver_preload(["experiments.hosting.predicting", "experiments.hosting.warm"])
    process = context.Process(target=_execute, args=(str(folder),))
    process.start()
    reader, offset = RecordReader(folder), 0
    try:
        while True:
            alive = process.is_alive()
            records, offset = reader.read(offset)
            for record in records:
                if take is not None and not isinstance(record, Broken):
                    take(record)
            if not alive and not records:
                return reader.ending()
            process.join(POLL_SECONDS)
    except KeyboardInterrupt:
        _end(process)
        raise


def _execute(folder: str) -> None:
    from experiments.hosting.host import execute

    output = os.open(Path(folder) / OUTPUT_FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(output, 1)
    os.dup2(output, 2)
    execute(Path(folder))
    print(f"CPU seconds: {time.process_time():.1f}", flush=True)  # noqa: T201 - goes to output.log


def _end(process: ForkServerProcess) -> None:
    process.terminate()
    process.join(STOP_GRACE_SECONDS)
    if process.is_alive():
        process.kill()
        process.join()


def _device(asked: str, slug: str) -> str:
    if runnable()[slug].gpu is GpuUse.NONE:
        return "cpu"
    if asked != "auto":
        return asked
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
