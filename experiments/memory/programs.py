"""What the answer of a student's program about its own memory is taken for: nothing in it is believed beyond its form.

No torch here: a worker reads the answer.
"""

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from experiments.internal.program_memory.spec import ProgramMemoryResult
from experiments.memory.devices import MIN_LIMIT_BYTES, TYPICAL, Gpu, GpuAsked, facts_of, gpu_of_device
from gpulab.schemas.memory import GpuVerdict, Prediction, Verdict

NO_PARTS = "the lab does not look into a program: it knows only the sum"
NO_PHASE = "the program trains in several threads"
NO_BATCH = "the lab does not know which number of a program is its batch size"
NO_EDITS = "the lab does not know what can be changed in a program"
UNKNOWN = {"parts": NO_PARTS, "phases": NO_PARTS, "modules": NO_PARTS}
UNKNOWN_OF_GPU = {"max_batch_size": NO_BATCH, "max_batch_size_without_retries": NO_BATCH, "edits": NO_EDITS}


class NotBelievedError(Exception):
    """Why nothing is predicted of a program, in words."""


@dataclass(frozen=True, slots=True)
class Bench:
    """Where a program's steps are taken for one GPU."""

    gpu: Gpu
    room_bytes: int | None
    """For its tensors; null for all that the emulated card has."""


def bench_of(asked: GpuAsked | None) -> Bench:
    """Null for a typical GPU."""
    if asked is None:
        return Bench(TYPICAL, None)
    gpu = gpu_of_device(asked.name, asked.constants)
    return Bench(gpu, max(gpu.room_of(asked.total_bytes) - gpu.context.likely_bytes, MIN_LIMIT_BYTES))


def believed(value: dict[str, Any], bench: Bench) -> ProgramMemoryResult:
    """The answer, if it can be true. Raises `NotBelievedError`, also where it says that nothing is predicted."""
    try:
        found = ProgramMemoryResult.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise NotBelievedError(f"the program's answer is not a measurement: {first['msg']}") from None
    if found.outcome == "not_predicted":
        raise NotBelievedError(found.reason or "the program does not say why")
    allocated, reserved = found.peak_allocated_bytes, found.peak_reserved_bytes
    if allocated is None or reserved is None or found.torch_version is None or allocated > reserved:
        raise NotBelievedError("the program's answer contradicts itself")
    if found.outcome == "fits" and bench.room_bytes is not None and reserved > bench.room_bytes:
        raise NotBelievedError("the program's answer contradicts itself: it used more memory than the card has")
    return found


def prediction_of(found: ProgramMemoryResult, bench: Bench) -> Prediction:
    """In the words of the API; `found` is what `believed` returned."""
    reserved = found.peak_reserved_bytes or 0
    return Prediction(
        card=bench.gpu.card,
        torch_version=found.torch_version or "",
        peak_allocated_bytes=found.peak_allocated_bytes or 0,
        peak_reserved_bytes=reserved,
        peak_device_bytes=bench.gpu.context.plus(reserved),
        peak_phase=found.peak_phase,
        parts=None,
        phases=None,
        claimed_by_program=True,
        assumptions=found.assumptions,
        reasons=UNKNOWN if found.peak_phase else {**UNKNOWN, "peak_phase": NO_PHASE},
    )


def verdict_of(found: ProgramMemoryResult, bench: Bench, asked: GpuAsked) -> GpuVerdict:
    """Never a certain one: no job is refused for what its program says."""
    prediction = prediction_of(found, bench)
    reasons = {**prediction.reasons, **UNKNOWN_OF_GPU}
    return GpuVerdict(
        **facts_of(asked, prediction.torch_version) | dict(prediction) | {"reasons": reasons},
        verdict=Verdict.FITS if found.outcome == "fits" else Verdict.CANNOT_FIT,
        certain=False,
        max_batch_size=None,
        max_batch_size_without_retries=None,
        edits=[],
    )
