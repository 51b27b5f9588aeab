"""What a run's exception means to the lab: a cause, one line for people, and where memory went that ran out."""

import json
import traceback
from typing import Any

from experiments.contract import CannotFit, Diverged, Experiment
from experiments.memory.devices import allocator_limit
from experiments.run_directory import RunDirectory

MOST_TRACEBACK_CHARACTERS = 20_000
ARTIFACT = "out-of-memory.json"


def verdict_of(
    error: Exception, order: dict[str, Any], run: RunDirectory, experiment: Experiment[Any, Any] | None
) -> dict[str, Any]:
    """The fields of the run's last record; called while the exception is being handled."""
    found: dict[str, Any] = {"cause": cause_of(error), "message": _message(error), "traceback": _traceback()}
    if found["cause"] == "out_of_memory" and experiment is not None:
        try:
            found |= _explained(error, order, run, experiment)
        except Exception:  # noqa: BLE001 - an explanation that fails must never hide what it explains
            traceback.print_exc()
    return found


def cause_of(error: Exception) -> str:
    """The slug of `gpulab.states.FailureCause`."""
    match error:
        case Diverged():
            return "diverged"
        case CannotFit():
            return "cannot_fit"
        case MemoryError():
            return "out_of_memory"
    names = {kind.__name__ for kind in type(error).__mro__}
    cpu_allocator = isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
    return "out_of_memory" if "OutOfMemoryError" in names or cpu_allocator else "error"


def _explained(
    error: Exception, order: dict[str, Any], run: RunDirectory, experiment: Experiment[Any, Any]
) -> dict[str, Any]:
    # Late, so that a run that ends well never loads the estimator.
    from experiments.memory import postmortem, snapshot

    spec = experiment.spec.model_validate(order["spec"])
    reserved_bytes = order.get("gpu_memory_bytes")
    kept, reason = snapshot.keep(run, snapshot.ON_OUT_OF_MEMORY)
    found = postmortem.explain(
        error,
        experiment,
        spec,
        phase=run.current_phase,
        reserved_for_run=reserved_bytes,
        allocator_limit_bytes=reserved_bytes and allocator_limit(reserved_bytes, run.gpu_constants),
        # In a lab others wait for the GPU that this process still holds.
        advise="job_id" not in order,
    )
    reasons = found.reasons | ({"snapshot": reason} if reason else {})
    failure = found.model_copy(update={"snapshot": kept, "reasons": reasons}).model_dump(mode="json")
    with run.artifact(ARTIFACT) as path:
        path.write_text(json.dumps(failure, indent=1), encoding="utf-8")
    return {"message": postmortem.headline(found, _message(error)), "failure": failure}


def _message(error: Exception) -> str:
    first_line = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first_line}"[:1000]


def _traceback() -> str:
    return traceback.format_exc()[-MOST_TRACEBACK_CHARACTERS:]
