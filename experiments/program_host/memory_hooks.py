"""Marks forward, backward and optimizer step, and reads the allocator, in a program that does nothing for it.

The first steps are marked closely (`experiments/training/first_steps.py`), as in the catalogue's experiments. Then the
hooks on modules are taken away, and on a GPU one reading of the allocator every quarter of a second is left.
"""

import functools
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from experiments.hosting.run_directory import RunDirectory
from experiments.training.first_steps import CLOSELY, FirstSteps, record_memory

READING_INTERVAL_SECONDS = 0.25


class MemoryHooks:
    """Hooks on PyTorch's modules, autograd and optimizers."""

    def __init__(self, torch: Any, run: RunDirectory) -> None:
        self._torch = torch
        self._run = run
        self._first_steps = FirstSteps(run)
        self._owner = (os.getpid(), threading.get_ident())
        self._phase = ""
        self._steps = 0
        self._read_at = 0.0
        self._removals: list[Callable[[], None]] = []

    def install(self) -> None:
        """Begin to watch."""
        from torch.nn.modules.module import register_module_forward_pre_hook
        from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

        self._removals = [
            register_module_forward_pre_hook(self._forward).remove,
            register_optimizer_step_pre_hook(lambda *_: self._begin("step")).remove,
            self._watch_backward(),
        ]
        self._stop_counting = register_optimizer_step_post_hook(lambda *_: self._stepped()).remove

    def _forward(self, *_: Any) -> None:
        # While a model is compiled, this is traced too, and then it must do nothing.
        if self._phase != "forward" and not self._torch.compiler.is_compiling() and self._torch.is_grad_enabled():
            self._begin("forward")

    def _watch_backward(self) -> Callable[[], None]:
        autograd = self._torch.autograd
        original = autograd.backward

        @functools.wraps(original)
        def watched(*arguments: Any, **options: Any) -> Any:
            self._begin("backward")
            return original(*arguments, **options)

        def remove() -> None:
            if autograd.backward is watched:
                autograd.backward = original

        autograd.backward = watched
        return remove

    def _begin(self, phase: str) -> None:
        if self._is_watched() and self._phase != phase:
            self._phase = phase
            self._first_steps.begin(phase)

    def _stepped(self) -> None:
        if not self._is_watched():
            return
        self._steps += 1
        if self._steps <= CLOSELY:
            self._first_steps.end_step()
            self._phase = ""
        if self._steps == CLOSELY:
            self._end_close_look()
        elif self._steps > CLOSELY:
            self._read()

    def _end_close_look(self) -> None:
        for remove in self._removals:
            remove()
        if self._run.device != "cuda":
            self._stop_counting()

    def _read(self) -> None:
        now = time.monotonic()
        if now - self._read_at >= READING_INTERVAL_SECONDS:
            self._read_at = now
            record_memory(self._run)

    def _is_watched(self) -> bool:
        """Neither a worker of a data loader nor a second thread is the training."""
        return self._owner == (os.getpid(), threading.get_ident())
