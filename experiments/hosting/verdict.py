"""What a run's exception means to the lab: a cause, one line for people, and where memory went that ran out."""

import errno
import json
import resource
import traceback
from collections.abc import Iterator
from contextlib import suppress
from shutil import disk_usage
from typing import Any

from experiments.contract import DISK_TROUBLE, CannotFit, Diverged, Experiment
from experiments.hosting.run_directory import RunDirectory
from experiments.hosting.wire import RunOrder
from experiments.memory.devices import allocator_limit

MAX_TRACEBACK_CHARACTERS = 20_000
MAX_MESSAGE_CHARACTERS = 1000
ARTIFACT = "out-of-memory.json"
FULL_DISK_BYTES = 2**20
UNUSABLE_GPUS = (
    "No CUDA GPUs are available", "Found no NVIDIA driver", "CUDA driver initialization failed",
    "Unexpected error from cudaGetDeviceCount", "NVIDIA driver on your system is too old",
    "Torch not compiled with CUDA enabled",
)  # fmt: skip
"""What torch says where a leased GPU cannot be used at all, such as after an update of the driver without a reboot."""


class DisturbedError(Exception):
    """Something of the machine failed, by no fault of the run."""


def ending_of(
    error: BaseException, order: RunOrder, run: RunDirectory, experiment: Experiment[Any, Any] | None
) -> tuple[str, dict[str, Any]]:
    """The kind and the fields of the run's last record; called while the exception is being handled."""
    if order.device == "cuda" and (words := _no_gpu(error)):
        return "disturbed", {"message": words, "gpus_unusable": True}
    if is_disturbance(error, run):
        return "disturbed", {"message": words_of(error)}
    found: dict[str, Any] = {"cause": cause_of(error), "message": words_of(error), "traceback": _traceback()}
    if found["cause"] == "out_of_memory" and experiment is not None:
        try:
            found |= _explained(error, order, run, experiment)
        except Exception:  # noqa: BLE001 - an explanation that fails must never hide what it explains
            with suppress(OSError):
                traceback.print_exc()
    if found["cause"] == "out_of_memory" and order.device == "cpu" and order.host_memory_bytes:
        found["message"] += f"; {_host_memory(order.host_memory_bytes)}"
    return "error", found


def _host_memory(limit_bytes: int) -> str:
    held_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    held, limit = (f"{size / 2**30:.2f} GiB" for size in (held_bytes, limit_bytes))
    return f"it used {held} of the machine's memory, and the limit of a job is {limit}"


def is_disturbance(error: BaseException, run: RunDirectory) -> bool:
    """Whether the machine failed, and not the run: it is tried again."""
    for each in _with_causes(error):
        if isinstance(each, DisturbedError) or (isinstance(each, OSError) and each.errno in DISK_TROUBLE):
            return True
        if isinstance(each, RuntimeError) and "PytorchStreamWriter" in words_of(each):
            # torch writes its files itself, and does not say why it could not.
            return disk_usage(run.folder).free < FULL_DISK_BYTES
    return False


def _no_gpu(error: BaseException) -> str:
    """Why CUDA has none of the GPUs of the lease; empty where it has."""
    said = (words_of(each) for each in _with_causes(error) if isinstance(each, RuntimeError | AssertionError))
    return next((words for words in said if any(known in words for known in UNUSABLE_GPUS)), "")


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = each.__cause__


def cause_of(error: BaseException) -> str:
    """The slug of `gpulab.states.FailureCause`."""
    match error:
        case Diverged():
            return "diverged"
        case CannotFit():
            return "cannot_fit"
        case MemoryError():
            return "out_of_memory"
        case OSError(errno=errno.ENOMEM):
            return "out_of_memory"
    names = {kind.__name__ for kind in type(error).__mro__}
    cpu_allocator = isinstance(error, RuntimeError) and "DefaultCPUAllocator" in words_of(error)
    return "out_of_memory" if "OutOfMemoryError" in names or cpu_allocator else "error"


def _explained(
    error: BaseException, order: RunOrder, run: RunDirectory, experiment: Experiment[Any, Any]
) -> dict[str, Any]:
    # Late, so that a run that ends well never loads the estimator.
    from experiments.memory import postmortem, snapshot

    spec = experiment.spec.model_validate(order.spec)
    reserved_bytes = order.gpu_memory_bytes
    kept, reason = snapshot.keep(run, snapshot.ON_OUT_OF_MEMORY)
    found = postmortem.explain(
        error,
        experiment,
        spec,
        phase=run.current_phase,
        reserved_for_run=reserved_bytes,
        allocator_limit_bytes=reserved_bytes and allocator_limit(reserved_bytes, run.gpu_constants),
        # In a lab others wait for the GPU that this process still holds.
        advise=order.job_id is None,
    )
    reasons = found.reasons | ({"snapshot": reason} if reason else {})
    failure = found.model_copy(update={"snapshot": kept, "reasons": reasons}).model_dump(mode="json")
    with run.artifact(ARTIFACT) as path:
        path.write_text(json.dumps(failure, indent=1), encoding="utf-8")
    return {"message": postmortem.headline(found, words_of(error)), "failure": failure}


def words_of(error: BaseException) -> str:
    """An exception in one line, whatever its own words do."""
    try:
        first_line = str(error).strip().partition("\n")[0]
    except Exception:  # noqa: BLE001 - the code of an experiment
        first_line = "its message cannot be shown"
    return f"{type(error).__name__}: {first_line}"[:MAX_MESSAGE_CHARACTERS]


def _traceback() -> str:
    return traceback.format_exc()[-MAX_TRACEBACK_CHARACTERS:]
