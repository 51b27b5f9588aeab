"""What a run on an emulated GPU may say: its memory. Nothing is computed there, so whatever follows from values or from
time is left out, with the reason."""

import os
from typing import Any

from emulator import is_emulated
from emulator.cards import cards
from emulator.loading import CARDS_VARIABLE
from gpulab.run.values import OF_VALUES_OR_TIME

REASON = "the GPU was emulated: its memory is known, but not losses, accuracies, times, power or energy"
CONTEXT_IS_A_GUESS = "the size of its CUDA context is a guess until a card is measured"


def source_of(device_name: str | None) -> str | None:
    """How a figure of memory from that GPU must be called; None for a real one, whose figures are measured."""
    if device_name is None or not device_name.startswith("emulated "):
        return None
    return f"PyTorch's allocator on an {device_name}"


def is_known(name: str) -> bool:
    """Whether an emulated GPU can say anything of the quantity called so."""
    return OF_VALUES_OR_TIME.search(name) is None


def without_values(result: Any) -> Any:
    """A result, as JSON, with null for every number that an emulated GPU cannot know."""
    if isinstance(result, dict):
        return {name: without_values(value) if is_known(name) else None for name, value in result.items()}
    return [without_values(value) for value in result] if isinstance(result, list) else result


def runs_on_emulated(device: str) -> bool:
    return device == "cuda" and is_emulated()


def emulated_name(device: str) -> str | None:
    """What the GPU of a run on this machine is called if it is emulated; None for every other device."""
    return cards(os.environ[CARDS_VARIABLE])[0].emulated_name if runs_on_emulated(device) else None
