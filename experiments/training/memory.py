"""Memory, counted exactly from tensors and read from the device, the allocator and the kernel. Everything in bytes."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

NO_GPU = "no GPU: the run used the CPU"


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at the memory; what only a GPU has is null without one."""

    allocated_bytes: int | None
    peak_allocated_bytes: int | None
    reserved_bytes: int | None
    device_used_bytes: int | None
    host_rss_bytes: int


def read_memory(device: str) -> Reading:
    """Read now, without waiting for the device. The peak counts from the last `reset_peak` or the start."""
    if device != "cuda":
        return Reading(None, None, None, None, host_rss_bytes())
    free, total = torch.cuda.mem_get_info()
    return Reading(
        torch.cuda.memory_allocated(),
        torch.cuda.max_memory_allocated(),
        torch.cuda.memory_reserved(),
        total - free,
        host_rss_bytes(),
    )


def reset_peak(device: str) -> None:
    """Let the allocator's peak count from here."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()


def host_rss_bytes() -> int:
    """Resident memory of this process as the kernel counts it."""
    resident_pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return resident_pages * os.sysconf("SC_PAGE_SIZE")


def tensor_bytes(tensors: Iterable[Tensor | None]) -> int:
    """Bytes of the elements of these tensors; None counts nothing."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors if tensor is not None)


def parameter_bytes(model: nn.Module) -> int:
    """Bytes of all parameters, shared ones counted once."""
    return tensor_bytes(model.parameters())


def gradient_bytes(model: nn.Module) -> int:
    """Bytes of the gradients that exist now."""
    return tensor_bytes(parameter.grad for parameter in model.parameters())


def buffer_bytes(model: nn.Module) -> int:
    """Bytes of all buffers, such as batch norm's running statistics and its step counters."""
    return tensor_bytes(model.buffers())


def optimizer_state_bytes(optimizer: torch.optim.Optimizer) -> tuple[int, int]:
    """Bytes of the per-element state, and of the scalar step counters, that exist now."""
    held = [(key, value) for state in optimizer.state.values() for key, value in state.items()]
    moments = tensor_bytes(value for key, value in held if key != "step" and isinstance(value, Tensor))
    return moments, tensor_bytes(value for key, value in held if key == "step" and isinstance(value, Tensor))


@dataclass(slots=True)
class SavedActivations:
    """What autograd kept for the backward pass."""

    size_bytes: int = 0


@contextmanager
def count_saved_activations(model: nn.Module) -> Iterator[SavedActivations]:
    """Count the distinct storages that a forward pass inside saves for backward, without parameters and buffers."""
    counted = SavedActivations()
    seen = {tensor.untyped_storage().data_ptr() for tensor in [*model.parameters(), *model.buffers()]}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in seen:
            seen.add(storage.data_ptr())
            counted.size_bytes += storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield counted
