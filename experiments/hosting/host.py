"""The job's process: a spec goes in, a run directory comes out. It knows no database, broker or network of ours.

Forked from the warm zygote (`run_forked`), or without a server by `experiments/hosting/local.py`.
"""

import os
import random
import resource
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from experiments.contract import OUTPUT_FILE, Experiment, Result, Stopped
from experiments.hosting.emulated import REASON, without_values
from experiments.hosting.run_directory import RunDirectory
from experiments.hosting.verdict import DisturbedError, ending_of, words_of
from experiments.hosting.wire import RunOrder
from experiments.memory import processes
from experiments.memory.devices import allocator_limit, gpu_of_run
from experiments.registry import runnable
from experiments.versions import versions

EXIT_OK = 0
EXIT_FAILED = 1
WRITING = "writing results"
"""What the progress says while the images are drawn, which can take seconds after the last step."""
MEMORY_SLACK_BYTES = 2 * 2**30
"""What a process may have asked for and not touched: stacks of threads, and what was loaded before it began."""
OOM_SCORE_ADJUSTMENT = 800
"""The kernel, short of memory, ends a job before the worker or anything else of the machine."""

LastWords = Callable[[str], object]
"""Says why a run could not continue although it made no mistake, when its directory cannot be written."""


def run_forked(folder: str, visible_gpus: str, last_words: LastWords) -> None:
    """Body of a process forked from the zygote, a group leader already: run, and end.

    `visible_gpus` becomes `CUDA_VISIBLE_DEVICES`: the UUIDs of the lease, or nothing.
    """
    status = EXIT_FAILED
    try:
        os.environ["CUDA_VISIBLE_DEVICES"] = visible_gpus
        os.chdir(folder)
        output = os.open(OUTPUT_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(output, 1)
        os.dup2(output, 2)
        _write_any_text()
        _volunteer_for_the_oom_killer()
        status = execute(Path(folder), last_words)
    except OSError as error:
        last_words(words_of(error))
    finally:
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        # Skipping the interpreter's teardown saves tens of milliseconds; everything that matters is on disk.
        os._exit(status)


def _to_stderr(words: str) -> None:
    print(words, file=sys.stderr)  # noqa: T201 - there is nowhere else


def execute(folder: Path, last_words: LastWords = _to_stderr) -> int:
    """Run what `folder/spec.json` describes; the verdict is the last record. Returns the exit status."""
    try:
        order = RunOrder.read(folder)
        run = RunDirectory(
            folder,
            seed=order.seed,
            device=order.device,
            datasets_folder=order.datasets_folder,
            cache_folder=order.cache_folder,
            gpu_constants=order.gpu_constants,
        )
    except (OSError, ValidationError) as error:
        last_words(words_of(error))
        return EXIT_FAILED
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: run.ask_to_stop())
    try:
        _carry_out(order, run)
    except Stopped as stopped:
        if run.should_stop():
            return _end(run, last_words, "stopped", message=str(stopped))
        words = f"it stopped without a request from the lab: {stopped}"
        _end(run, last_words, "error", cause="error", message=words)
        return EXIT_FAILED
    except BaseException as error:  # noqa: BLE001 - the process boundary: whatever went wrong becomes the verdict
        _print_traceback()
        kind, fields = ending_of(error, order, run, runnable().get(order.experiment))
        _end(run, last_words, kind, **fields)
        return EXIT_FAILED
    finally:
        run.close()
    return EXIT_OK


def _end(run: RunDirectory, last_words: LastWords, kind: str, **fields: Any) -> int:
    """Write the record that says how it ended."""
    try:
        run.record(kind, **fields)
    except OSError as error:
        last_words(f"its last record could not be written: {words_of(error)}")
        return EXIT_FAILED
    return EXIT_OK


def _carry_out(order: RunOrder, run: RunDirectory) -> None:
    experiment = runnable()[order.experiment]
    spec = experiment.spec.model_validate(order.spec)
    _begin_prediction(experiment, spec, run)
    _prepare(order, run)
    run.record("started", pid=os.getpid(), device=run.device, versions=versions())
    result: Result = _load(experiment.run)(spec, run)
    value = result.model_dump(mode="json")
    if run.is_emulated and (known := without_values(value)) != value:
        # Images would show what was never computed.
        run.record("result", value=known | {"not_known": REASON})
        return
    run.record("result", value=value)
    # The result stands. The lab waits for the end of the process, so who sees the result sees what follows as well.
    run.predicted()
    _draw(experiment, spec, result, run)


def _write_any_text() -> None:
    """Names of files that are no UTF-8 can be printed, whatever the locale."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]


def _print_traceback() -> None:
    with suppress(OSError):  # the disk is full
        traceback.print_exc()


def _prepare(order: RunOrder, run: RunDirectory) -> None:
    """What the lab does before the experiment begins; raises `DisturbedError` where it fails."""
    try:
        _prepare_torch(order, run)
    except Exception as error:
        raise DisturbedError(f"torch could not be prepared: {words_of(error)}") from error


def _prepare_torch(order: RunOrder, run: RunDirectory) -> None:
    import numpy as np
    import torch

    torch.set_num_threads(order.threads)
    _limit_memory(order)
    random.seed(order.seed)
    np.random.seed(order.seed % 2**32)  # noqa: NPY002 - third-party code draws from the global generator
    # Not torch.manual_seed, which loads every kind of device first: a few milliseconds that a job on the CPU can spare.
    torch.default_generator.manual_seed(order.seed)
    if order.device == "cuda":
        torch.cuda.manual_seed_all(order.seed)
    if order.device == "cuda" and order.gpu_memory_bytes:
        limit_bytes = allocator_limit(order.gpu_memory_bytes, run.gpu_constants)
        for index in range(torch.cuda.device_count()):
            total_bytes = torch.cuda.get_device_properties(index).total_memory
            torch.cuda.set_per_process_memory_fraction(min(1.0, limit_bytes / total_bytes), index)


def _limit_memory(order: RunOrder) -> None:
    """What is asked for at once and far too large is refused here, before the worker sees it or the machine feels it.

    On a GPU the driver takes address space as it likes, and the worker's watch must do.
    """
    if order.device == "cpu" and order.host_memory_bytes:
        most = order.host_memory_bytes + MEMORY_SLACK_BYTES
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (most if hard < 0 else min(most, hard), hard))


def _begin_prediction(experiment: Experiment[Any, Any], spec: Any, run: RunDirectory) -> None:
    """Predict the memory while the run works: it must begin before the run touches a device."""
    if experiment.workload is None:
        return
    from experiments.memory.predictor import predict

    gpu = gpu_of_run(run.device, run.gpu_constants)
    try:
        run.expect(processes.begin(predict, experiment.workload(spec), gpu).result)
    except processes.NotPredictedError as error:
        print(f"its GPU memory is not predicted: {error}", file=sys.stderr)  # noqa: T201 - goes to output.log


def _draw(experiment: Experiment[Any, Any], spec: Any, result: Result, run: RunDirectory) -> None:
    """Draw what can be drawn, and name the rest: no image costs the result."""
    if experiment.figures is None:
        return
    run.progress(1.0, WRITING)
    missing: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a glyph that no font has is drawn as a box
        try:
            figures = _load(experiment.figures)(spec, result)
        except Exception as error:  # noqa: BLE001 - the code of an experiment, on the words of its user
            _print_traceback()
            figures, missing = {}, [f"its figures ({words_of(error)})"]
        for name, figure in figures.items():
            try:
                with run.artifact(f"{name}.png") as path:
                    figure.savefig(path, format="png", dpi=120)
            except Exception as error:  # noqa: BLE001 - as above
                _print_traceback()
                missing.append(f"{name} ({words_of(error)})")
    if missing:
        with suppress(OSError):
            run.record("warning", message=f"could not be drawn: {'; '.join(missing)}"[:2000])


def _load(reference: str) -> Any:
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)


def _volunteer_for_the_oom_killer() -> None:
    try:
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE_ADJUSTMENT), encoding="utf-8")
    except OSError as error:
        print(f"oom_score_adj stays as it is: {error}", file=sys.stderr)  # noqa: T201 - goes to output.log
