"""Two training steps of a workload: real code on any device, the one that predictions and real steps share."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from enum import StrEnum
from functools import lru_cache, partial
from itertools import chain
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.checkpoint import checkpoint

from experiments.memory.contract import Workload
from experiments.torchvision_models import ModelName
from experiments.training.models import build_model, logits_of, loss_of
from experiments.training.optimizers import build_optimizer

LEARNING_RATE = 1e-3
STEPS = 2
"""The optimizer's state and the activations exist together only in the second one."""
MAX_PASSES = 3
"""From the second pass of an accumulation on, every further one does the same again."""
MAX_BLANK_MODELS = 8
"""Kept by a process, which may answer questions for days."""
LOWER_PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Category(StrEnum):
    """What a block of memory holds; the names are fields of `gpulab.schemas.memory.Parts`, without `_bytes`."""

    PARAMETERS = "parameters"
    BUFFERS = "buffers"
    BATCH = "batch"
    GRADIENTS = "gradients"
    OPTIMIZER_STATE = "optimizer_state"
    ACTIVATIONS = "activations"
    TEMPORARY = "temporary"
    WORKSPACE = "workspace"


Watch = Callable[[str, Mapping[Category, Iterable[Tensor]]], None]
"""Called when a phase ends, with its name and the tensors whose meaning it has settled."""


def take_steps(workload: Workload, device: str, watch: Watch = lambda *_: None) -> None:
    """Two optimizer steps, and the evaluation if there is one. The values of weights and images do not matter."""
    with _placed(workload, device) as model:
        _train(workload, device, model, watch)


def _train(workload: Workload, device: str, model: nn.Module, watch: Watch) -> None:
    watch("model", {Category.PARAMETERS: model.parameters(), Category.BUFFERS: model.buffers()})
    _Training(workload, device, model, watch).run()


def prepare(workload: Workload) -> None:
    """Build the model once, for this process and those forked from it. Raises `ValueError` as the model does."""
    blank_model(workload)


def blank_model(workload: Workload) -> nn.Module:
    """The model on `meta`, in training mode: drawing its values takes long. The same one for every batch size."""
    return _blank(workload.model, workload.num_classes, workload.image_size, workload.checkpointing)


@lru_cache(MAX_BLANK_MODELS)
def _blank(name: ModelName, num_classes: int, image_size: int, checkpointing: bool) -> nn.Module:
    with _without_values():
        model = build_model(name, num_classes, image_size, seed=0, device="meta")
    if checkpointing:
        checkpoint_blocks(model)
    return model


@contextmanager
def _placed(workload: Workload, device: str) -> Iterator[nn.Module]:
    """The model on a device, laid out as the workload says and without values; it is blank again afterwards."""
    model = blank_model(workload)
    blank = [(module, dict(module._parameters), dict(module._buffers)) for module in model.modules()]
    try:
        _place(model, device)
        if workload.channels_last:
            model.to(memory_format=torch.channels_last)
        yield model.train()
    finally:
        for module, parameters, buffers in blank:
            module._parameters.update(parameters)
            module._buffers.update(buffers)


def _place(module: nn.Module, device: str) -> None:
    """As `Module.to_empty`, in the same order, without the detour of each tensor over torch's Python references."""
    for child in module.children():
        _place(child, device)
    for name, parameter in module._parameters.items():
        if parameter is not None:
            module._parameters[name] = nn.Parameter(_like(parameter, device), parameter.requires_grad)
    for name, buffer in module._buffers.items():
        module._buffers[name] = None if buffer is None else _like(buffer, device)


def _like(tensor: Tensor, device: str) -> Tensor:
    return torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device=device)


@contextmanager
def _without_values() -> Iterator[None]:
    """Inside, layers are made on `meta`, and their parameters are not drawn."""
    drawing: dict[str, Any] = {
        name: _undrawn for name in vars(nn.init) if name.endswith("_") and not name.startswith("_")
    }
    with patch.multiple(nn.init, **drawing), _OnMeta():
        yield


def _undrawn(tensor: Tensor, *_: Any, **__: Any) -> Tensor:
    return tensor


class _OnMeta(TorchFunctionMode):
    """Makes on `meta` what layers make for their parameters; other tensors, which a model computes with, are real."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in {torch.empty, torch.zeros, torch.ones} and kwargs.get("device") is None:
            kwargs = {**kwargs, "device": "meta"}
        return func(*args, **kwargs)


def ran_out_of_memory(error: RuntimeError) -> bool:
    """Whether memory is what was missing: where no plan of a convolution finds its workspace, torch says otherwise."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return bool(torch.cuda.is_initialized() and torch.cuda.memory_stats()["num_ooms"])  # type: ignore[no-untyped-call]


def checkpoint_blocks(model: nn.Module) -> None:
    """Let each block of the model's outermost stages keep its inputs alone and compute the rest again in backward."""
    again = partial(checkpoint, use_reentrant=False, preserve_rng_state=False)
    for module in model.children():
        if not isinstance(module, nn.Sequential | nn.ModuleList):
            checkpoint_blocks(module)
            continue
        for block in module:
            if any(True for _ in block.parameters()):
                block.forward = partial(again, block.forward)


class _Training:
    def __init__(self, workload: Workload, device: str, model: nn.Module, watch: Watch) -> None:
        self.workload, self.device, self.model, self.watch = workload, device, model, watch
        how = workload.implementation
        self.optimizer = build_optimizer(
            workload.optimizer,
            model.parameters(),
            LEARNING_RATE,
            weight_decay=workload.weight_decay,
            foreach=None if how is None else how == "foreach",
            fused=None if how is None else how == "fused",
        )

    def run(self) -> None:
        images_BCHW, labels_B = self._batch(self.workload.batch_size)
        self.watch("batch", {Category.BATCH: (images_BCHW, labels_B)})
        for number in range(STEPS):
            self._step("second_" if number else "", images_BCHW, labels_B)
        if self.workload.evaluation_batch_size is not None:
            self._evaluate(self.workload.evaluation_batch_size)

    def _step(self, prefix: str, images_BCHW: Tensor, labels_B: Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=self.workload.set_to_none)
        self.watch(prefix + "zero_grad", {})
        for _ in range(min(self.workload.gradient_accumulation_steps, MAX_PASSES)):
            loss = self._forward(images_BCHW, labels_B)
            self.watch(prefix + "forward", {})
            torch.autograd.backward(loss)
            del loss
            gradients = (parameter.grad for parameter in self.model.parameters())
            self.watch(prefix + "backward", {Category.GRADIENTS: (each for each in gradients if each is not None)})
        self.optimizer.step()
        states = chain.from_iterable(state.values() for state in self.optimizer.state.values())
        self.watch(prefix + "step", {Category.OPTIMIZER_STATE: (each for each in states if isinstance(each, Tensor))})

    def _forward(self, images_BCHW: Tensor, labels_B: Tensor) -> Tensor:
        dtype = LOWER_PRECISIONS[self.workload.precision]
        with nullcontext() if dtype is None else torch.autocast(self.device, dtype):
            loss = loss_of(self.workload.model, self.model(images_BCHW), labels_B)
        return loss / self.workload.gradient_accumulation_steps

    def _evaluate(self, batch_size: int) -> None:
        """A forward pass without gradients."""
        self.model.eval()
        with torch.inference_mode():
            images_BCHW, labels_B = self._batch(batch_size)
            nn.functional.cross_entropy(logits_of(self.model(images_BCHW)), labels_B)
        self.watch("evaluation", {Category.BATCH: (images_BCHW, labels_B)})

    def _batch(self, size: int) -> tuple[Tensor, Tensor]:
        pixels = self.workload.image_size
        layout = torch.channels_last if self.workload.channels_last else torch.contiguous_format
        images_BCHW = torch.empty((size, 3, pixels, pixels), device=self.device, memory_format=layout)
        return images_BCHW, torch.zeros(size, dtype=torch.int64, device=self.device)
