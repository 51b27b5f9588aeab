"""The parent of a student's program: reads the order, starts the program, collects what it leaves, says how it ended.

It outlives whatever the program does to itself, so there is always a last record.
"""

import json
import logging
import os
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from experiments.catalog.notebook import spec as notebook
from experiments.catalog.script import spec as script
from experiments.contract import SPEC_FILE
from experiments.hosting.emulated import REASON, without_values
from experiments.hosting.run_directory import RunDirectory
from experiments.hosting.verdict import words_of
from experiments.hosting.wire import RunOrder
from experiments.internal.program_check import spec as program_check
from experiments.program_host.collecting.collector import Collector
from experiments.program_host.session import Ended, Session
from experiments.versions import versions
from gpulab.run.files import RESULT_FILE
from gpulab.run.values import check_result

MAX_RESULT_BYTES = 2**20
FAILED = 1


def execute(folder: Path, work: Path, environment: dict[str, str]) -> int:
    """Run what `folder/spec.json` orders in the folder `work`; the verdict is the last record. Returns the status."""
    try:
        order = RunOrder.read(folder)
        run = RunDirectory(folder, seed=order.seed, device=order.device, gpu_constants=order.gpu_constants)
    except (OSError, ValidationError) as error:
        print(f"{folder / SPEC_FILE}: {words_of(error)}", file=sys.stderr)  # noqa: T201 - there is nowhere else
        return FAILED
    notebook_path = order.spec.get("notebook")
    start = (work / notebook_path).parent if isinstance(notebook_path, str) else work
    session = Session(order, run, work, Collector(run, work, start))
    try:
        session.hear_signals()
        os.environ.update(_environment(order, folder) | environment)
        if run.is_emulated:
            os.environ["GPULAB_VALUES_UNKNOWN"] = "1"
        os.chdir(work)
        run.record("started", pid=os.getpid(), device=order.device, versions=versions())
        ended = _run(session)
        session.collector.finish()
        _conclude(ended, run)
    except Exception as error:
        run.record("error", message=f"the program's host failed: {words_of(error)}")
        raise
    finally:
        run.close()
    return ended.exit_status


def _environment(order: RunOrder, folder: Path) -> dict[str, str]:
    """What the program finds in its environment, beside what the sandbox sets."""
    return {
        "GPULAB_RUN_DIRECTORY": str(folder),
        "GPULAB_SEED": str(order.seed),
        "GPULAB_PARAMETERS": json.dumps(order.spec.get("parameters", {})),
        "GPULAB_DATASETS": str(order.datasets_folder),
        "OMP_NUM_THREADS": str(order.threads),
        "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
    }


def _run(session: Session) -> Ended:
    """Only what this order needs is imported: nbclient takes a while, and so does the catalogue."""
    match session.order.experiment:
        case script.SLUG:
            from experiments.program_host.script import run as run_script

            return run_script(script.ScriptSpec.model_validate(session.order.spec), session)
        case program_check.SLUG:
            from experiments.program_host.script import run as run_script

            return run_script(program_check.ProgramCheckSpec.model_validate(session.order.spec), session)
        case notebook.SLUG:
            from experiments.program_host.notebook import run as run_notebook

            return run_notebook(notebook.NotebookSpec.model_validate(session.order.spec), session)
        case slug:
            return _run_other(slug, session)


def _run_other(slug: str, session: Session) -> Ended:
    """What the lab itself asks of a program."""
    import structlog

    from experiments.registry import runnable

    # A plug-in that is not visible here is no news for the reader of a program's log.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    experiment = runnable().get(slug)
    if experiment is None or not experiment.sandboxed:
        return Ended(2, {"message": f"the experiment {slug} is not a program"})
    module, _, name = experiment.run.partition(":")
    ended: Ended = getattr(import_module(module), name)(experiment.spec.model_validate(session.order.spec), session)
    return ended


def _conclude(ended: Ended, run: RunDirectory) -> None:
    """The last record."""
    if ended.has_stopped:
        run.record("stopped", message=ended.message)
    elif ended.error is not None:
        run.record("error", **ended.error)
    else:
        value = ended.value or _result(run.folder) or {}
        run.progress(1.0)  # the program's own count may have ended short of it
        known = without_values(value) if run.is_emulated else value
        run.record("result", value=known if known == value else known | {"not_known": REASON})


def _result(folder: Path) -> dict[str, Any] | None:
    """What the program gave to `run.result`; the file is the program's, so it may hold anything."""
    with suppress(OSError, ValueError, TypeError, RecursionError):
        file = os.open(folder / RESULT_FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            return check_result(json.loads(os.read(file, MAX_RESULT_BYTES)))
        finally:
            os.close(file)
    return None
