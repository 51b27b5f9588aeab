"""The truth without a GPU: the peak of a real step's allocations on the CPU, from torch's profiler.

Nothing is shared with the prediction but the workload: the profiler reports each call of the C++ allocator, with its
pointer and the operations around it. What a single kernel takes and returns within itself (oneDNN's reordered weights,
im2col columns, reduction buffers) is counted apart: a GPU's kernels have other scratch memory.
"""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from experiments.memory.contract import Workload
from experiments.memory.step import LEARNING_RATE, LOWER_PRECISIONS, STEPS, checkpoint_blocks, new_model
from experiments.training.memory import buffer_bytes, parameter_bytes, tensor_bytes
from experiments.training.models import loss_of
from experiments.training.optimizers import build_optimizer


@dataclass(frozen=True, slots=True)
class Measured:
    """Peaks over two steps, in bytes: of tensors, and with the kernels' scratch memory."""

    peak_tensor_bytes: int
    peak_bytes: int


@dataclass(slots=True)
class _Allocation:
    operations: tuple[Any, ...]
    scratch: bool = False


def measure_steps(workload: Workload) -> Measured:
    """Take two real steps on the CPU. Workloads with an evaluation pass or a fused optimizer are refused."""
    if workload.evaluation_batch_size is not None or workload.implementation == "fused":
        raise ValueError("evaluation_batch_size, implementation: only plain steps can be measured on the CPU")
    model = new_model(workload, device="cpu")
    if workload.checkpointing:
        checkpoint_blocks(model)
    optimizer = build_optimizer(
        workload.optimizer,
        model.parameters(),
        LEARNING_RATE,
        weight_decay=workload.weight_decay,
        foreach=workload.implementation == "foreach",
    )
    images_BCHW = torch.rand(workload.batch_size, 3, workload.image_size, workload.image_size)
    if workload.channels_last:
        images_BCHW = images_BCHW.contiguous(memory_format=torch.channels_last)
    labels_B = torch.zeros(workload.batch_size, dtype=torch.int64)
    before = parameter_bytes(model) + buffer_bytes(model) + tensor_bytes([images_BCHW, labels_B])
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        for _ in range(STEPS):
            take_step(workload, model, optimizer, images_BCHW, labels_B)
    assert profiler.profiler is not None
    return _peaks(profiler.profiler.kineto_results.experimental_event_tree(), before)


def take_step(
    workload: Workload,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    images_BCHW: torch.Tensor,
    labels_B: torch.Tensor,
) -> None:
    """One real optimizer step, on the device of the pictures."""
    dtype = LOWER_PRECISIONS[workload.precision]
    optimizer.zero_grad(set_to_none=workload.set_to_none)
    for _ in range(workload.gradient_accumulation_steps):
        with nullcontext() if dtype is None else torch.autocast(images_BCHW.device.type, dtype):
            loss = loss_of(workload.model, model(images_BCHW), labels_B)
        torch.autograd.backward(loss / workload.gradient_accumulation_steps)
        del loss
    optimizer.step()


def _peaks(roots: list[Any], before: int) -> Measured:
    changes: list[tuple[int, _Allocation | None]] = []
    live: dict[int, _Allocation] = {}
    for _, pointer, size, operations in sorted(_allocator_calls(roots), key=lambda call: call[0]):
        if size > 0:
            live[pointer] = _Allocation(operations)
            changes.append((size, live[pointer]))
            continue
        made = live.pop(pointer, None)
        if made is not None:
            made.scratch = _within_one_kernel(made.operations, operations)
        changes.append((size, made))
    tensors = everything = peak_tensors = peak = before
    for size, allocation in changes:
        everything += size
        if allocation is None or not allocation.scratch:
            tensors += size
        peak, peak_tensors = max(peak, everything), max(peak_tensors, tensors)
    return Measured(peak_tensors, peak)


def _allocator_calls(roots: list[Any]) -> Iterator[tuple[int, int, int, tuple[Any, ...]]]:
    """Time, pointer, bytes (negative where freed) and the operations around, of every call."""
    waiting: list[tuple[Any, tuple[Any, ...]]] = [(root, ()) for root in roots]
    while waiting:
        event, path = waiting.pop()
        if event.tag == torch._C._profiler._EventType.Allocation:
            fields = event.extra_fields
            yield event.start_time_ns, fields.ptr, fields.alloc_size, path
        deeper = (*path, event)
        waiting.extend((child, deeper) for child in event.children)


def _within_one_kernel(making: tuple[Any, ...], freeing: tuple[Any, ...]) -> bool:
    common = (one for one, other in zip(making, freeing, strict=False) if one is other)
    return any(_is_kernel(event.name) for event in common)


@cache
def _is_kernel(name: str) -> bool:
    """Whether this is an operation that a prediction sees as one, not one made of others."""
    if not name.startswith("aten::") or not torch._C._dispatch_has_kernel(name):
        return False
    return not torch._C._dispatch_has_kernel_for_dispatch_key(name, "CompositeImplicitAutograd")
