"""Two training steps of a workload: real code on any device, the one that predictions and real steps share."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache, partial
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


Watch = Callable[[str, Mapping[Category, Iterable[tuple[str | None, Tensor]]]], None]
"""Called when a phase ends, with its name and the tensors whose meaning it has settled. Each has the dotted name of the
parameter or buffer that it is or belongs to; null for none."""


def take_steps(workload: Workload, device: str, watch: Watch = lambda *_: None) -> None:
    """Two optimizer steps, and the evaluation if there is one. The values of weights and images do not matter."""
    with _placed(workload, device) as model:
        _train(workload, device, model, watch)


def _train(workload: Workload, device: str, model: nn.Module, watch: Watch) -> None:
    watch("model", {Category.PARAMETERS: model.named_parameters(), Category.BUFFERS: model.named_buffers()})
    _Training(workload, device, model, watch).run()


def prepare(workload: Workload) -> None:
    """Build the model once, for this process and those forked from it. Raises `ValueError` as the model does."""
    blank_model(workload)


def blank_model(workload: Workload) -> nn.Module:
    """The model on `meta`, in training mode: drawing its values takes long. The same one for every batch size."""
    return _blank_of(workload).model


@dataclass(frozen=True, slots=True)
class _Slot:
    """Where a module holds a parameter or a buffer, and what it is in a blank model."""

    holder: dict[str, Any]
    name: str
    blank: Tensor
    size: Sequence[int]
    stride: Sequence[int]

    def place(self, device: str) -> None:
        blank = self.blank
        placed = torch.empty_strided(self.size, self.stride, dtype=blank.dtype, device=device)
        if isinstance(blank, nn.Parameter):
            placed = Tensor._make_subclass(nn.Parameter, placed, blank.requires_grad)
        self.holder[self.name] = placed


@dataclass(frozen=True, slots=True)
class _Blank:
    model: nn.Module
    slots: Sequence[_Slot]


def _blank_of(workload: Workload) -> _Blank:
    return _blank(workload.model, workload.num_classes, workload.image_size, workload.checkpointing)


@lru_cache(MAX_BLANK_MODELS)
def _blank(name: ModelName, num_classes: int, image_size: int, checkpointing: bool) -> _Blank:
    with _without_values():
        model = build_model(name, num_classes, image_size, seed=0, device="meta").train()
    if checkpointing:
        checkpoint_blocks(model)
    return _Blank(model, list(_slots(model)))


def _slots(module: nn.Module) -> Iterator[_Slot]:
    """In the order in which `Module.to_empty` places them."""
    for child in module.children():
        yield from _slots(child)
    for holder in (module._parameters, module._buffers):
        for name, tensor in holder.items():
            if tensor is not None:
                yield _Slot(holder, name, tensor, tensor.size(), tensor.stride())


@contextmanager
def _placed(workload: Workload, device: str) -> Iterator[nn.Module]:
    """The model on a device, laid out as the workload says and without values; it is blank again afterwards."""
    blank = _blank_of(workload)
    try:
        for slot in blank.slots:
            slot.place(device)
        if workload.channels_last:
            blank.model.to(memory_format=torch.channels_last)
        yield blank.model
    finally:
        for slot in blank.slots:
            slot.holder[slot.name] = slot.blank
        if not blank.model.training:
            blank.model.train()


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
        self.names: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
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
        self.watch("batch", {Category.BATCH: ((None, images_BCHW), (None, labels_B))})
        for number in range(STEPS):
            self._step("second_" if number else "", images_BCHW, labels_B)
        if self.workload.evaluation_batch_size is not None:
            self._evaluate(self.workload.evaluation_batch_size)

    def _step(self, prefix: str, images_BCHW: Tensor, labels_B: Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=self.workload.set_to_none)
        self.watch(prefix + "zero_grad", {})
        for _ in range(min(self.workload.gradient_accumulation_steps, MAX_PASSES)):
            loss = self._forward(images_BCHW, labels_B)
            self.watch(prefix + "forward", {Category.ACTIVATIONS: ((None, loss),)})
            torch.autograd.backward(loss)
            del loss
            gradients = ((name, parameter.grad) for parameter, name in self.names.items())
            known = ((name, gradient) for name, gradient in gradients if gradient is not None)
            self.watch(prefix + "backward", {Category.GRADIENTS: known})
        self.optimizer.step()
        self.watch(prefix + "step", {Category.OPTIMIZER_STATE: self._optimizer_state()})

    def _optimizer_state(self) -> Iterator[tuple[str, Tensor]]:
        for parameter, state in self.optimizer.state.items():
            yield from ((self.names[parameter], each) for each in state.values() if isinstance(each, Tensor))

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
        self.watch("evaluation", {Category.BATCH: ((None, images_BCHW), (None, labels_B))})

    def _batch(self, size: int) -> tuple[Tensor, Tensor]:
        pixels = self.workload.image_size
        layout = torch.channels_last if self.workload.channels_last else torch.contiguous_format
        images_BCHW = torch.empty((size, 3, pixels, pixels), device=self.device, memory_format=layout)
        return images_BCHW, torch.zeros(size, dtype=torch.int64, device=self.device)
