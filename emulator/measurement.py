"""What `measure` answers: the memory of a program's first training steps on an emulated card, or why it isn't known."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

MIB = 1 << 20


class Outcome(StrEnum):
    FITS = "fits"
    OUT_OF_MEMORY = "out_of_memory"
    NOT_PREDICTED = "not_predicted"


@dataclass(frozen=True, slots=True)
class StepMemory:
    """From the end of the last optimizer step to the end of this one; the first has the program's start too."""

    optimizer: str
    """Its class."""
    peak_allocated_bytes: int
    peak_reserved_bytes: int
    peak_phase: str | None
    """`backward`, `step`, or `forward` for everything else; None if several threads train."""


@dataclass(frozen=True, slots=True)
class OutOfMemory:
    message: str | None
    """PyTorch's own; None if the program caught the error."""
    phase: str | None
    layer: str | None
    """Its name in the outermost module, and its class; None where PyTorch runs no Python code, as in backward."""


@dataclass(frozen=True, slots=True)
class Environment:
    card: str
    device_bytes: int
    """What the card gives to programs."""
    python_version: str | None
    torch_version: str | None
    """None if the program never imported torch."""


@dataclass(frozen=True, slots=True)
class Measurement:
    outcome: Outcome
    reason: str | None
    """Why the program ran out of memory or nothing is predicted; None if it fits."""
    environment: Environment
    steps: tuple[StepMemory, ...]
    """Those seen, also if they were too few for a prediction."""
    peak_allocated_bytes: int | None
    """None if nothing is predicted, as the next."""
    peak_reserved_bytes: int | None
    peak_phase: str | None
    peak_phase_reason: str | None
    """Why the phase is None."""
    out_of_memory: OutOfMemory | None
    """The last one, also if the program caught it and went on."""
    assumptions: tuple[str, ...]
    """What the prediction takes for granted, in words."""
    output: str
    """The end of what the program printed."""
    seconds: float

    @property
    def fits(self) -> bool | None:
        """None if nothing is predicted."""
        return None if self.outcome is Outcome.NOT_PREDICTED else self.outcome is Outcome.FITS

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def _lines(found: Measurement) -> list[str]:
    lines = [_headline(found)]
    if found.peak_allocated_bytes is not None and found.peak_reserved_bytes is not None:
        phase = found.peak_phase or f"unknown: {found.peak_phase_reason}"
        lines.append(f"Peak allocated {_mib(found.peak_allocated_bytes)} (phase: {phase})")
        lines.append(f"Peak reserved  {_mib(found.peak_reserved_bytes)}")
    for at, step in enumerate(found.steps, 1):
        memory = f"allocated {_mib(step.peak_allocated_bytes)}, reserved {_mib(step.peak_reserved_bytes)}"
        lines.append(f"  step {at} ({step.optimizer}): {memory}, peak in {step.peak_phase or 'an unknown phase'}")
    lines += [f"Assumed: {assumption}" for assumption in found.assumptions]
    torch = found.environment.torch_version or "not imported"
    lines.append(f"PyTorch's allocator on an emulated {found.environment.card}; torch {torch}; {found.seconds:.1f} s")
    if found.outcome is Outcome.NOT_PREDICTED and found.output:
        lines += ["", "The program's last output:", found.output.rstrip()]
    return lines


def _headline(found: Measurement) -> str:
    room = f"{found.environment.card}, {_mib(found.environment.device_bytes)}"
    if found.outcome is Outcome.FITS:
        return f"Fits ({room})"
    if found.outcome is Outcome.OUT_OF_MEMORY:
        return f"Out of memory ({room}): {found.reason}"
    return f"Not predicted: {found.reason}"


def _mib(count: int) -> str:
    return f"{count / MIB:,.1f} MiB"
