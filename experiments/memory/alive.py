"""Where a step stopped and which tensors are alive: found by looking, after the fact, at no cost before it.

The traceback shows phase, layer and model.

Python knows of parameters, gradients, optimizer states and variables. What autograd keeps for a backward pass belongs
to C++, and is found by walking the graph from every tensor that has one.
"""

import gc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from gpulab.schemas.memory import TensorKind, TensorRead

MAX_NODES = 200_000
TORCH = Path(torch.__file__).parent
T = Any


@dataclass(frozen=True, slots=True)
class Named:
    """A tensor with its name and its part in training."""

    tensor: Tensor
    kind: TensorKind
    name: str


def instances(kind: type[T]) -> list[T]:
    """The living objects of a class, in the order in which the collector knows them."""
    # An object's own `__class__` may be a lie that imports half a library; its type is not.
    return [found for found in gc.get_objects() if issubclass(type(found), kind)]


def largest_model() -> nn.Module | None:
    """The living model with the most parameters that is no part of another one. Those on `meta` hold no memory."""
    models = instances(nn.Module)
    parts = {id(part) for model in models for part in model.children()}
    roots = [model for model in models if id(model) not in parts]
    return max(roots, key=_parameters_held, default=None)


def _parameters_held(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters() if not parameter.is_meta)


def largest_tensors(
    model: nn.Module | None, device_type: str, most: int, variables: Mapping[int, str]
) -> list[TensorRead]:
    """The `most` largest storages on the device by what they hold, the largest first.

    `variables` names tensors by their `id`, where a function at work holds them.
    """
    found: dict[int, TensorRead] = {}
    for named in _everything(model, variables):
        tensor = named.tensor
        if tensor.device.type != device_type or tensor.layout != torch.strided:
            continue
        storage = tensor.untyped_storage()
        if storage.nbytes() and storage.data_ptr() not in found:
            found[storage.data_ptr()] = TensorRead(
                name=named.name[:200],
                kind=named.kind,
                shape=list(tensor.shape),
                dtype=str(tensor.dtype).removeprefix("torch."),
                size_bytes=storage.nbytes(),
            )
    return sorted(found.values(), key=lambda one: -one.size_bytes)[:most]


def _everything(model: nn.Module | None, variables: Mapping[int, str]) -> Iterator[Named]:
    """The most informative names first, because a storage keeps the first one that it gets."""
    names: dict[int, str] = {}
    for name, parameter in model.named_parameters() if model else ():
        names[id(parameter)] = name
        yield Named(parameter, "parameter", name)
        if parameter.grad is not None:
            yield Named(parameter.grad, "gradient", name)
    for name, buffer in model.named_buffers() if model else ():
        yield Named(buffer, "buffer", name)
    for optimizer in instances(torch.optim.Optimizer):
        for parameter, state in optimizer.state.items():
            for key, value in state.items():
                if isinstance(value, Tensor):
                    yield Named(value, "optimizer_state", f"{key} of {names.get(id(parameter), 'a parameter')}")
    tensors = [found for found in instances(Tensor) if type(found) in {Tensor, nn.Parameter}]
    owners = _storages(model)
    yield from _saved([tensor for tensor in tensors if tensor.grad_fn is not None], owners)
    for tensor in tensors:
        variable = variables.get(id(tensor))
        if tensor.grad_fn is None:
            yield Named(tensor, "other", variable or "a tensor of the run")
        else:
            maker = _owner(list(_kept_by(tensor.grad_fn)), owners) or tensor.grad_fn.name()
            yield Named(tensor, "activation", f"output of {maker}" + (f", {variable}" if variable else ""))


def _storages(model: nn.Module | None) -> dict[int, str]:
    """The module's name by the storage of its weights."""
    return {
        parameter.untyped_storage().data_ptr(): name.rpartition(".")[0]
        for name, parameter in (model.named_parameters() if model else ())
        if parameter.device.type != "meta"
    }


def _saved(tensors: list[Tensor], owners: dict[int, str]) -> Iterator[Named]:
    """What the graphs behind these tensors keep for the backward pass."""
    waiting = [tensor.grad_fn for tensor in tensors]
    seen: set[Any] = set()
    while waiting and len(seen) < MAX_NODES:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        waiting += [following for following, _ in node.next_functions]
        kept = list(_kept_by(node))
        owner = _owner(kept, owners)
        for role, tensor in kept:
            if tensor.untyped_storage().data_ptr() not in owners:
                place = f"{role} of {owner}" if owner else f"{role} of {node.name()}"
                yield Named(tensor, "activation", place)


def _owner(kept: list[tuple[str, Tensor]], owners: Mapping[int, str]) -> str | None:
    """The layer whose weight is among these tensors."""
    storages = (tensor.untyped_storage().data_ptr() for _, tensor in kept)
    return next((owners[storage] for storage in storages if storage in owners), None)


def _kept_by(node: Any) -> Iterator[tuple[str, Tensor]]:
    for name in dir(node):
        if not name.startswith("_saved_"):
            continue
        try:
            value = getattr(node, name)
        except RuntimeError:  # freed by the backward pass already
            continue
        for tensor in value if isinstance(value, tuple) else (value,):
            if isinstance(tensor, Tensor):
                yield name.removeprefix("_saved_"), tensor


@dataclass(frozen=True, slots=True)
class Place:
    """What the frames show; null if they show nothing."""

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
