"""Where in a training step an exception was raised, read from its traceback: phase, layer, and the model it was in."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType

import torch
from torch import Tensor, nn

TORCH = Path(torch.__file__).parent


@dataclass(frozen=True, slots=True)
class Place:
    """What the frames tell; null where they do not."""

    phase: str | None
    layer: nn.Module | None
    """The innermost layer at work."""
    model: nn.Module | None
    """The outermost one."""
    variables: dict[int, str]
    """Names of the tensors that functions at work hold, by `id`: the innermost function's."""


def place_of(error: BaseException) -> Place:
    """Read the frames between where an exception was caught and where it was raised."""
    frames = list(_frames(error.__traceback__))
    layers = [
        found
        for frame in frames
        # One that is still being made may have no parts to ask it about.
        if isinstance(found := frame.f_locals.get("self"), nn.Module) and "_modules" in vars(found)
    ]
    model = layers[0] if layers else None
    variables = {
        id(value): f"{name} in {frame.f_code.co_qualname}"
        for frame in frames
        for name, value in frame.f_locals.items()
        if isinstance(value, Tensor)
    }
    return Place(_phase(frames, model), layers[-1] if layers else None, model, variables)


def name_of(layer: nn.Module, model: nn.Module) -> str:
    """Its dotted name in the model, and its class."""
    name = next((name for name, module in model.named_modules() if module is layer), "")
    return f"{name} ({type(layer).__name__})" if name else type(layer).__name__


def layer_of_backward(model: nn.Module) -> str | None:
    """Where a backward pass stopped: the last layer, in the order of its definition, that still lacks a gradient.

    None where every gradient is there, as in the second of several accumulated passes.
    """
    lacking = [
        name for name, parameter in model.named_parameters() if parameter.requires_grad and parameter.grad is None
    ]
    return name_of(model.get_submodule(lacking[-1].rpartition(".")[0]), model) if lacking else None


def _frames(traceback: TracebackType | None) -> Iterator[FrameType]:
    while traceback is not None:
        yield traceback.tb_frame
        traceback = traceback.tb_next


def _phase(frames: list[FrameType], model: nn.Module | None) -> str | None:
    called = {(_within_torch(frame), frame.f_code.co_name) for frame in frames}
    files = {file for file, _ in called}
    if any(file.startswith("optim/") for file in files):
        return "step"
    if ("autograd/__init__.py", "backward") in called:
        return "backward"
    if model is None:
        return None
    if {"__init__", "_apply"} & {name for _, name in called}:
        return "model"
    return "forward" if model.training else "evaluation"


def _within_torch(frame: FrameType) -> str:
    path = Path(frame.f_code.co_filename)
    return path.relative_to(TORCH).as_posix() if path.is_relative_to(TORCH) else ""
