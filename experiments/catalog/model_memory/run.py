"""Two optimizer steps of a torchvision model under a magnifying glass for memory.

Claim, for ResNet-152 with 10 classes, torch 2.14.1 and torchvision 0.29.1: 58,164,298 parameters are 232,657,192 bytes
(P); gradients take P more; the state takes 0 for SGD, P with momentum and 2P for Adam, and does not exist before
the first step. `zero_grad` frees the gradients before the second forward pass, whose peak is P, state and activations.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from experiments.catalog.model_memory.spec import MemoryReading, ModelMemoryResult, ModelMemorySpec, Moment
from experiments.contract import Diverged, Run, Stopped
from experiments.memory import snapshot
from experiments.memory.step import LOWER_PRECISIONS, checkpoint_blocks
from experiments.training.memory import (
    NO_GPU,
    Reading,
    buffer_bytes,
    count_saved_activations,
    gradient_bytes,
    optimizer_state_bytes,
    parameter_bytes,
    read_memory,
    reset_peak,
)
from experiments.training.models import build_model, loss_of
from experiments.training.optimizers import build_optimizer
from gpulab.schemas.memory import Prediction

LEARNING_RATE = 1e-3
STEPS = 2


def run(spec: ModelMemorySpec, run: Run) -> ModelMemoryResult:
    """Build the model, take two steps on one random batch, and read the memory on the way."""
    context = _start_device(run.device)
    run.phase("model")
    run.progress(0.0, f"building {spec.model}")
    model = _model(spec, run)
    optimizer = build_optimizer(
        spec.optimizer,
        model.parameters(),
        LEARNING_RATE,
        foreach=None if spec.implementation is None else spec.implementation == "foreach",
        fused=None if spec.implementation is None else spec.implementation == "fused",
    )
    work = _Work(spec, run, model, optimizer, readings=[])
    work.read("after_model")
    images_BCHW, labels_B = _random_batch(spec, run)
    with snapshot.history(), _reporting(model, run, passes=2 * STEPS * spec.gradient_accumulation_steps):
        activations = work.first_step(images_BCHW, labels_B)
        work.second_step(images_BCHW, labels_B)
        snapshot.keep(run, snapshot.AT_THE_PEAK)
    prediction = run.predicted()
    run.progress(1.0, "done")
    return _result(work, context, activations, prediction)


def _model(spec: ModelMemorySpec, run: Run) -> nn.Module:
    model = build_model(spec.model, spec.num_classes, spec.image_size, seed=run.seed, device=run.device)
    if spec.channels_last:
        model = model.to(memory_format=torch.channels_last)
    if spec.checkpointing:
        checkpoint_blocks(model)
    return model


def _start_device(device: str) -> Reading:
    """Create the CUDA context, if any, and read what it costs."""
    if device == "cuda":
        torch.empty(1, device=device)
        torch.cuda.empty_cache()
    return read_memory(device)


def _random_batch(spec: ModelMemorySpec, run: Run) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(run.seed)
    images_BCHW = torch.rand(spec.batch_size, 3, spec.image_size, spec.image_size, generator=generator)
    labels_B = torch.randint(spec.num_classes, (spec.batch_size,), generator=generator)
    layout = torch.channels_last if spec.channels_last else torch.contiguous_format
    return images_BCHW.to(run.device, memory_format=layout), labels_B.to(run.device)


@dataclass(slots=True)
class _Work:
    spec: ModelMemorySpec
    run: Run
    model: nn.Module
    optimizer: torch.optim.Optimizer
    readings: list[MemoryReading]

    def first_step(self, images_BCHW: Tensor, labels_B: Tensor) -> int:
        """One step; the outputs and the loss live on until the last reading, as in the homework's loop.

        Returns the bytes that a forward pass saved for backward.
        """
        for _ in range(self.spec.gradient_accumulation_steps):
            self.run.phase("forward")
            with count_saved_activations(self.model) as saved:
                _output, loss = self._forward(images_BCHW, labels_B)
            self._backward(loss)
        self.read("after_backward")
        self.run.phase("step")
        self.optimizer.step()
        self.read("after_step")
        self.run.metrics(1, {"loss": _finite(loss)})
        return saved.size_bytes

    def second_step(self, images_BCHW: Tensor, labels_B: Tensor) -> None:
        """One more step, now with the state in place; the gradients are freed first, which is torch's default."""
        self.optimizer.zero_grad()
        for _ in range(self.spec.gradient_accumulation_steps):
            self.run.phase("forward")
            _, loss = self._forward(images_BCHW, labels_B)
            self._backward(loss)
        self.run.phase("step")
        self.optimizer.step()
        self.read("after_second_step")
        self.run.metrics(2, {"loss": _finite(loss)})

    def _forward(self, images_BCHW: Tensor, labels_B: Tensor) -> tuple[Any, Tensor]:
        dtype = LOWER_PRECISIONS[self.spec.precision]
        with nullcontext() if dtype is None else torch.autocast(self.run.device, dtype):
            output = self.model(images_BCHW)
            return output, loss_of(self.spec.model, output, labels_B)

    def _backward(self, loss: Tensor) -> None:
        self.run.phase("backward")
        torch.autograd.backward(loss / self.spec.gradient_accumulation_steps)

    def read(self, moment: Moment) -> None:
        """Note the memory at this moment and let the allocator's peak count anew."""
        if self.run.device == "cuda":
            torch.cuda.synchronize()
        reading = read_memory(self.run.device)
        state, _ = optimizer_state_bytes(self.optimizer)
        self.readings.append(
            MemoryReading(
                moment=moment,
                **asdict(reading),
                parameter_bytes=parameter_bytes(self.model),
                gradient_bytes=gradient_bytes(self.model),
                optimizer_state_bytes=state,
                reason=None if self.run.device == "cuda" else NO_GPU,
            )
        )
        if reading.allocated_bytes is not None and reading.reserved_bytes is not None:
            self.run.memory(
                allocated_bytes=reading.allocated_bytes,
                reserved_bytes=reading.reserved_bytes,
                peak_allocated_bytes=reading.peak_allocated_bytes,
            )
        reset_peak(self.run.device)


@contextmanager
def _reporting(model: nn.Module, run: Run, passes: int) -> Iterator[None]:
    """Move the progress and look for a stop within a pass: one of a large model takes long on a CPU."""
    # Others, such as one ReLU shared by a block, are called any number of times.
    layers = [module for module in model.modules() if any(True for _ in module.parameters(recurse=False))]
    parameters = list(model.parameters())
    total = passes / 2 * (len(layers) + len(parameters))
    done = 0
    reported = 0.0

    def tick(*_: object) -> None:
        nonlocal done, reported
        done += 1
        if run.should_stop():
            raise Stopped("asked to stop within a step; two steps are too few for a checkpoint")
        if done / total - reported >= 0.01:
            reported = done / total
            run.progress(min(reported, 0.99), "two steps")

    hooks = [layer.register_forward_hook(tick) for layer in layers]
    hooks += [p.register_post_accumulate_grad_hook(tick) for p in parameters]  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _finite(loss: Tensor) -> float:
    value = loss.item()
    if not math.isfinite(value):
        raise Diverged(f"the loss is {value}")
    return value


def _result(
    work: _Work, context: Reading, saved_activation_bytes: int, prediction: Prediction | None
) -> ModelMemoryResult:
    state, counters = optimizer_state_bytes(work.optimizer)
    model_bytes = parameter_bytes(work.model) + buffer_bytes(work.model)
    in_place = work.readings[0].device_used_bytes
    return ModelMemoryResult(
        parameter_count=sum(parameter.numel() for parameter in work.model.parameters()),
        parameter_bytes=parameter_bytes(work.model),
        gradient_bytes=gradient_bytes(work.model),
        optimizer_state_bytes=state,
        optimizer_step_counter_bytes=counters,
        buffer_bytes=buffer_bytes(work.model),
        saved_activation_bytes=saved_activation_bytes,
        context_bytes=context.device_used_bytes,
        overhead_bytes=None if in_place is None else in_place - model_bytes,
        readings=work.readings,
        prediction=prediction,
    )
