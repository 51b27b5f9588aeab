"""Which module asks for memory: the allocator notes with each request the name of the module at work.

A thread sets the name, and the allocator keeps it with the thread's requests. In the forward pass, modules set it when
they begin and end. In the backward pass, the nodes of autograd's graph set it: each is of the module that made it.
Nothing here takes memory of the card or keeps a tensor alive, so the bytes are those of a run without it.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

MODEL = "."
"""The name of the model itself. That of a part of it, such as `.layer1.0`, begins with the same sign."""
OUTSIDE = ""
MAX_NUMBER = 2**63
"""Nodes that accumulate a parameter's gradient have a larger number. No module made them."""


def owner_of_parameter(name: str) -> str:
    """The module that a parameter or buffer with this dotted name is of."""
    return MODEL + name.rpartition(".")[0]


class Owners:
    """The names that a model's modules set. `loss_of_step` has to see every loss before its backward pass."""

    def __init__(self, model: nn.Module) -> None:
        self._names = {module: MODEL + name for name, module in model.named_modules()}
        self._numbers: list[int] = []
        """Of the next node of the graph, when the name changed."""
        self._set: list[str] = []
        """The names, in the same order."""

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Inside, requests carry names."""
        # Not by hooks: with any, PyTorch calls every module on a path that takes twice as long.
        own = {module: vars(module).get("forward") for module in self._names}
        for module, name in self._names.items():
            outer = OUTSIDE if name == MODEL else name.rpartition(".")[0] or MODEL
            vars(module)["forward"] = partial(self._forward, name, outer, module.forward)
        try:
            yield
        finally:
            for module, forward in own.items():
                _restore(module, forward)
            _set(OUTSIDE)

    def _forward(self, name: str, outer: str, forward: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        self._change(name)
        result = forward(*arguments, **options)
        self._change(outer)
        return result

    def _change(self, name: str) -> None:
        _set(name)
        # A checkpointed block runs again in the backward pass, which does not use the nodes that this makes.
        if torch._C._current_graph_task_id() == -1:
            self._numbers.append(torch._C._autograd._get_sequence_nr())
            self._set.append(name)

    def loss_of_step(self, loss: Tensor) -> None:
        """Let the nodes behind a loss set the name of their module when the backward pass reaches them."""
        waiting, seen = [loss.grad_fn], set()
        while waiting:
            node = waiting.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            waiting += [following for following, _ in node.next_functions]
            number = node._sequence_nr()
            if number < MAX_NUMBER:
                node.register_prehook(partial(_set, self._name_at(number)))
        self._numbers.clear()
        self._set.clear()

    def _name_at(self, number: int) -> str:
        at = bisect_right(self._numbers, number)
        return self._set[at - 1] if at else OUTSIDE


def kinds_of(model: nn.Module) -> Mapping[str, str]:
    """The class of each module by its dotted name, in the order of their definition."""
    return {name: type(module).__name__ for name, module in model.named_modules()}


def _restore(module: nn.Module, forward: Callable[..., Any] | None) -> None:
    """Null stands for the method of its class."""
    if forward is None:
        del vars(module)["forward"]
    else:
        vars(module)["forward"] = forward


def _set(name: str, *_: Any) -> None:
    torch._C._cuda_setMemoryMetadata(name)
