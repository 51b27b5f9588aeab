"""Two training steps on tensors without data, traced."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.checkpoint import checkpoint, noop_context_fn

from experiments.memory.contract import Device, Workload
from experiments.memory.functions import DeviceFunctions, as_on
from experiments.memory.trace import Category, Trace
from experiments.memory.tracer import Tracer
from experiments.training.models import build_model, logits_of, loss_of
from experiments.training.optimizers import build_optimizer

LEARNING_RATE = 1e-3
STEPS = 2
ENOUGH_PASSES = 2
"""From the second pass of an accumulation on, every further one does the same again."""
LOWER_PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}

Contexts = Callable[[], tuple[AbstractContextManager[Any], AbstractContextManager[Any]]]


def trace_steps(workload: Workload, device: Device = "cuda", *, cublas_workspace_bytes: int = 0) -> Trace:
    """What two steps of the workload allocate and free on a device of that kind."""
    tracer = Tracer(workspace_bytes=cublas_workspace_bytes)
    model = new_model(workload, "meta")
    tracer.phase("model", Category.PARAMETERS)
    with tracer, as_on(device) as functions:
        if workload.checkpointing:
            dtype = LOWER_PRECISIONS[workload.precision]
            checkpoint_blocks(model, lambda: (nullcontext(), functions.again(dtype)))
        _place(model, tracer)
        training = _Training(workload, device, model, tracer, functions)
        for number in range(STEPS):
            training.step(prefix="second_" if number else "")
        if workload.evaluation_batch_size is not None:
            training.evaluate(workload.evaluation_batch_size)
        return tracer.stop()


def new_model(workload: Workload, device: str) -> nn.Module:
    """The model in training mode, laid out as the workload says; on `meta` it has no values."""
    with _WithoutValues() if device == "meta" else nullcontext():
        model = build_model(workload.model, workload.num_classes, workload.image_size, seed=0, device=device)
    if workload.channels_last:
        model = model.to(memory_format=torch.channels_last)
    return model


_NORMAL: set[Any] = {Tensor.normal_, nn.init.normal_}
"""Torch takes a millisecond to draw no values."""


class _WithoutValues(TorchFunctionMode):
    """Makes on `meta` what layers make for their parameters; other tensors, which a model computes with, are real."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _NORMAL:
            drawn = args[0] if args else kwargs["tensor"]
            return drawn if drawn.is_meta else func(*args, **kwargs)
        if func in {torch.empty, torch.zeros, torch.ones} and kwargs.get("device") is None:
            kwargs = {**kwargs, "device": "meta"}
        return func(*args, **kwargs)


def checkpoint_blocks(model: nn.Module, contexts: Contexts = noop_context_fn) -> None:
    """Let each block of the model's outermost stages keep its inputs alone and compute the rest again in backward.

    `contexts` makes what is entered around a block's forward pass, and around its second one.
    """
    again = partial(checkpoint, use_reentrant=False, preserve_rng_state=False, context_fn=contexts)
    for module in model.children():
        if not isinstance(module, nn.Sequential | nn.ModuleList):
            checkpoint_blocks(module, contexts)
            continue
        for block in module:
            if any(True for _ in block.parameters()):
                block.forward = partial(again, block.forward)


def _place(model: nn.Module, tracer: Tracer) -> None:
    for parameter in model.parameters():
        tracer.see(parameter)
    tracer.category = Category.BUFFERS
    for buffer in model.buffers():
        tracer.see(buffer)


class _Training:
    def __init__(
        self, workload: Workload, device: Device, model: nn.Module, tracer: Tracer, functions: DeviceFunctions
    ) -> None:
        self.workload = workload
        self.model = model
        self.tracer = tracer
        self.functions = functions
        self.parameters = list(model.parameters())
        implementation = workload.implementation or ("foreach" if device == "cuda" else "for_loop")
        self.optimizer = build_optimizer(
            workload.optimizer,
            self.parameters,
            LEARNING_RATE,
            weight_decay=workload.weight_decay,
            foreach=implementation == "foreach",
        )
        self.fused = implementation == "fused"
        tracer.phase("batch", Category.BATCH)
        self.images_BCHW, self.labels_B = self._batch(workload.batch_size)

    def step(self, prefix: str) -> None:
        """One optimizer step over as many passes as are accumulated."""
        self.tracer.phase(prefix + "zero_grad", Category.GRADIENTS)
        self.optimizer.zero_grad(set_to_none=self.workload.set_to_none)
        for _ in range(min(self.workload.gradient_accumulation_steps, ENOUGH_PASSES)):
            self._pass(prefix)
        self.tracer.phase(prefix + "step", Category.TEMPORARY)
        if self.fused:
            self._fused_step()
        else:
            self.optimizer.step()
        state = [value for held in self.optimizer.state.values() for value in held.values()]
        self.tracer.name((value for value in state if isinstance(value, Tensor)), Category.OPTIMIZER_STATE)

    def evaluate(self, batch_size: int) -> None:
        """A forward pass without gradients."""
        self.tracer.phase("evaluation", Category.BATCH)
        self.model.eval()
        with torch.inference_mode():
            images_BCHW, labels_B = self._batch(batch_size)
            self.tracer.category = Category.TEMPORARY
            nn.functional.cross_entropy(logits_of(self.model(images_BCHW)), labels_B)

    def _batch(self, size: int) -> tuple[Tensor, Tensor]:
        pixels = self.workload.image_size
        layout = torch.channels_last if self.workload.channels_last else torch.contiguous_format
        images = torch.empty((size, 3, pixels, pixels), device="meta", memory_format=layout)
        return images, torch.empty(size, dtype=torch.int64, device="meta")

    def _pass(self, prefix: str) -> None:
        self.tracer.phase(prefix + "forward", Category.ACTIVATIONS)
        first = len(self.tracer.trace.sizes_bytes)
        loss = self._forward()
        self.tracer.rename_ended(first, Category.ACTIVATIONS, Category.TEMPORARY)
        self.tracer.phase(prefix + "backward", Category.TEMPORARY)
        torch.autograd.backward(loss)
        gradients = (parameter.grad for parameter in self.parameters)
        self.tracer.name((grad for grad in gradients if grad is not None), Category.GRADIENTS)

    def _forward(self) -> Tensor:
        with self.functions.autocast(LOWER_PRECISIONS[self.workload.precision]):
            output: Any = self.model(self.images_BCHW)
            loss = loss_of(self.workload.model, output, self.labels_B)
        return loss / self.workload.gradient_accumulation_steps

    def _fused_step(self) -> None:
        """The state that a fused kernel leaves; it makes nothing else, and its step counters live on the device."""
        if self.optimizer.state or self.workload.optimizer == "sgd":
            return
        names = ["momentum_buffer"] if self.workload.optimizer == "sgd_momentum" else ["exp_avg", "exp_avg_sq"]
        for parameter in self.parameters:
            state = self.optimizer.state[parameter]
            if "exp_avg" in names:
                state["step"] = torch.zeros((), device=parameter.device)
            for name in names:
                state[name] = torch.zeros_like(parameter)
