"""Out of memory as an answer: where it happened, what was alive, and what to change. Called in the job's process."""

import gc
import os
import re
import traceback
from datetime import UTC, datetime
from typing import Any

import torch

from experiments.contract import Experiment, Spec
from experiments.memory.alive import largest_model, largest_tensors, layer_of_backward, name_of, place_of
from experiments.memory.contract import Workload
from experiments.memory.devices import CONTEXT, TYPICAL, GpuAsked, held_at_least
from experiments.memory.predictor import judge
from experiments.memory.processes import StepsRefusedError, call
from gpulab.schemas.memory import Edit, OutOfMemoryRead, first_advice

MAX_TENSORS = 10
NO_GPU = "no GPU: the run used the CPU"
BEING_PREDICTED = "it is being predicted, which takes seconds"
UNITS = {"bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
REQUEST = re.compile(r"[Tt]ried to allocate ([\d.]+) (bytes|KiB|MiB|GiB)")


def explain(
    error: BaseException,
    experiment: Experiment[Any, Any],
    spec: Spec,
    *,
    phase: str | None,
    reserved_for_run: int | None,
    allocator_limit_bytes: int | None = None,
    advise: bool = True,
) -> OutOfMemoryRead:
    """What is known of `error`, an out-of-memory that is still being handled, so that its frames are alive.

    `phase` is the run's last mark, `reserved_for_run` the bytes of its lease on a GPU and `allocator_limit_bytes` what
    its allocator might hold of them; null for a whole one. Without `advise` no edits are predicted, which takes
    seconds: the lab does it when the run has let its GPU go.
    """
    reasons: dict[str, str] = {}
    # Objects without a reference would be shown as alive.
    gc.collect()
    where = place_of(error)
    model = where.model or largest_model()
    device = "cuda" if torch.cuda.is_initialized() else "cpu"  # type: ignore[no-untyped-call]
    found: dict[str, Any] = {
        "device": device,
        "at": datetime.now(UTC),
        "phase": where.phase or phase,
        "module": _module(where.phase, where, model, reasons),
        "requested_bytes": requested_bytes(error),
        **_allocator(error, device, reasons),
        "limit_bytes": getattr(error, "limit_bytes", None) or reserved_for_run or _all_memory(device),
        "largest_tensors": largest_tensors(model, device, MAX_TENSORS, where.variables),
    }
    if found["requested_bytes"] is None:
        reasons["requested_bytes"] = "the message does not say"
    if found["phase"] is None:
        reasons["phase"] = "the run marks no phase, and no layer was at work"
    allowed = allocator_limit_bytes or reserved_for_run
    found["inside_reservation"] = stayed_inside(allowed, found["reserved_bytes"], found["requested_bytes"])
    reasons["process_used_bytes"] = "its own allocator refused the request, so the driver was not read"
    if found["inside_reservation"] is None:
        reasons["inside_reservation"] = "it had not reserved a part of a GPU"
    # A limit of the allocator leaves the context out; a prediction for a device has it.
    room = found["limit_bytes"] + (CONTEXT.likely_bytes if hasattr(error, "limit_bytes") else 0)
    predicted: int | None = None
    edits: list[Edit] = []
    if advise:
        predicted, edits = _advice(experiment, spec, room, held_at_least(found), device, reasons)
    else:
        reasons |= dict.fromkeys(("predicted_peak_bytes", "edits"), BEING_PREDICTED)
    return OutOfMemoryRead(**found, predicted_peak_bytes=predicted, edits=edits, snapshot=None, reasons=reasons)


def requested_bytes(error: BaseException) -> int | None:
    """What the message says was asked for; torch gives it in two decimals of its unit."""
    found = REQUEST.search(str(error))
    return round(float(found[1]) * UNITS[found[2]]) if found else None


def stayed_inside(reservation_bytes: int | None, reserved_bytes: int | None, requested: int | None) -> bool | None:
    """Whether what the allocator held and what it asked for come to no more than the reservation; null without one."""
    if reservation_bytes is None or reserved_bytes is None:
        return None
    return reserved_bytes + (requested or 0) <= reservation_bytes


def headline(found: OutOfMemoryRead, message: str) -> str:
    """One line that a person can act on."""
    place = " ".join(
        part
        for part in (f"in {found.phase}" if found.phase else "", f"at {found.module}" if found.module else "")
        if part
    )
    advice = first_advice(found.edits)
    return f"out of memory {place}{advice}".strip() if place or advice else message


def _module(phase: str | None, where: Any, model: torch.nn.Module | None, reasons: dict[str, str]) -> str | None:
    if where.layer is not None and where.model is not None:
        return name_of(where.layer, where.model)
    if phase == "backward" and model is not None:
        found = layer_of_backward(model)
        if found is None:
            reasons["module"] = "every gradient existed already, so the layer is not known"
        return found
    reasons["module"] = "an optimizer's step has no layer" if phase == "step" else "no layer was at work"
    return None


def _allocator(error: BaseException, device: str, reasons: dict[str, str]) -> dict[str, int | None]:
    allocated, reserved = getattr(error, "allocated_bytes", None), getattr(error, "reserved_bytes", None)
    used = total = None
    if device == "cuda":
        allocated, reserved = torch.cuda.memory_allocated(), torch.cuda.memory_reserved()
        free, total = torch.cuda.mem_get_info()
        used = total - free
    names = {
        "allocated_bytes": allocated,
        "reserved_bytes": reserved,
        "fragmentation_bytes": None if reserved is None or allocated is None else reserved - allocated,
        "device_used_bytes": used,
        "device_total_bytes": total,
    }
    reasons |= {name: NO_GPU for name, value in names.items() if value is None}
    return names


def _all_memory(device: str) -> int:
    if device == "cuda":
        return int(torch.cuda.get_device_properties(0).total_memory)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _advice(
    experiment: Experiment[Any, Any],
    spec: Spec,
    limit_bytes: int,
    held_bytes: int | None,
    device: str,
    reasons: dict[str, str],
) -> tuple[int | None, list[Edit]]:
    reason = "the memory of this experiment cannot be predicted"
    workload = None if experiment.workload is None else experiment.workload(spec)
    if isinstance(workload, Workload):
        try:
            return _edits(workload, spec, limit_bytes, held_bytes, device)
        except StepsRefusedError as error:
            reason = str(error)
        except Exception:  # noqa: BLE001 - advice on a failure must never hide the failure
            traceback.print_exc()
            reason = "the prediction failed; see the log"
    reasons |= {"predicted_peak_bytes": reason, "edits": reason}
    return None, []


def _edits(
    workload: Workload, spec: Spec, limit_bytes: int, held_bytes: int | None, device: str
) -> tuple[int, list[Edit]]:
    name = torch.cuda.get_device_name() if device == "cuda" else TYPICAL.name
    asked = GpuAsked(name=name, total_bytes=limit_bytes, outgrown=True, held_bytes=held_bytes)
    found = call(judge, workload, asked, list(type(spec).model_fields))
    if found.peak_device_bytes is None:
        raise StepsRefusedError(found.reason)
    return found.peak_device_bytes.likely_bytes, found.edits
