"""GPU models by name: their memory, and what a context and the libraries take of it. No torch here.

Defaults where no node has measured its own. The context of a process that uses PyTorch is a property of the driver, the
CUDA version and the kernels it loads: since CUDA 11.7 they are loaded when first used, which leaves it near 300 to
500 MB; the homework's sheet shows about 592 MiB on a T4 in 2023. cuBLAS takes 8,519,680 bytes through the allocator by
default and 32 MiB on Hopper (PyTorch, `CUBLAS_WORKSPACE_CONFIG`).

Of what `nvidia-smi` shows as the total, the driver keeps a part that no program gets: of a T4's 15,360 MiB torch has
14.58 GiB, of an A100's 80 GiB 79.15, of an H100's 79.65 GiB 79.18 (torch's own messages in public reports).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from experiments.memory.contract import Constants, Interval

MIB = 1 << 20
GIB = 1 << 30
CONTEXT = Interval(low_bytes=150 * MIB, likely_bytes=450 * MIB, high_bytes=700 * MIB)
DRIVERS_SHARE = 0.03
"""Of the total, kept by the driver: the T4's, which is the most of those that are known."""
LEAST_LIMIT_BYTES = 2 * MIB
"""One segment of the allocator."""
CUBLAS_WORKSPACE_BYTES = 4096 * 1024 * 2 + 16 * 1024 * 8
CUBLAS_WORKSPACE_HOPPER_BYTES = 32 * MIB

CONVOLUTION_SCRATCH_LIKELY_BYTES = 64 * MIB
"""What cuDNN's convolutions are taken to want at a time: a guess, until a lab has measured its own."""
CONVOLUTION_SCRATCH_HIGH_BYTES = 512 * MIB
"""With so much the replay comes within 10 % of every device reading of the sheet: its T4 of 2023 took about this."""

DECORATION = {"NVIDIA", "TESLA", "GEFORCE", "PCIE", "SXM2", "SXM3", "SXM4", "SXM5", "HBM2", "HBM2E", "HBM3", "HBM3E"}
"""Words beside a model that change neither its memory nor its constants."""
SIZE = re.compile(r"\d+GB")
SIZE_TOLERANCE = 0.1
"""A card sold as 24 GB shows 22.5 GiB, and one of 141 GB 140.4 GiB."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU model; the total is what `nvidia-smi` shows."""

    name: str
    total_bytes: int
    context: Interval = CONTEXT
    cublas_workspace_bytes: int = CUBLAS_WORKSPACE_BYTES
    convolution_scratch_likely_bytes: int = CONVOLUTION_SCRATCH_LIKELY_BYTES
    convolution_scratch_high_bytes: int = CONVOLUTION_SCRATCH_HIGH_BYTES
    measured: Constants | None = None
    """What a node measured, where these numbers come from it."""

    @property
    def usable_bytes(self) -> int:
        """What a program can have of it, context included."""
        return round((1 - DRIVERS_SHARE) * self.total_bytes / MIB) * MIB


TYPICAL = Gpu("typical", 0)
GPUS = {
    gpu.name: gpu
    for gpu in (
        Gpu("T4", 15_360 * MIB),
        Gpu("V100-16GB", 16_384 * MIB),
        Gpu("V100-32GB", 32_768 * MIB),
        Gpu("RTX-2080-Ti", 11_264 * MIB),
        Gpu("RTX-3090", 24_576 * MIB),
        Gpu("RTX-4090", 24_564 * MIB),
        Gpu("L4", 23_034 * MIB),
        Gpu("A10", 23_028 * MIB),
        Gpu("A100-40GB", 40_960 * MIB),
        Gpu("A100-80GB", 81_920 * MIB),
        Gpu("H100", 81_559 * MIB, cublas_workspace_bytes=CUBLAS_WORKSPACE_HOPPER_BYTES),
        Gpu("H200", 143_771 * MIB, cublas_workspace_bytes=CUBLAS_WORKSPACE_HOPPER_BYTES),
    )
}


def gpu_named(name: str | None) -> Gpu:
    """The GPU model of that name, as `models_called` reads it; None for a typical one.

    Raises `ValueError` for a name that is unknown or leaves open which model is meant.
    """
    if name is None:
        return TYPICAL
    found = models_called(name)
    if not found:
        raise ValueError(f"gpu: {name!r} is unknown; known are {', '.join(GPUS)}")
    if len(found) > 1:
        raise ValueError(f"gpu: {name!r} may be {' or '.join(found)}")
    return GPUS[found[0]]


def models_called(name: str) -> list[str]:
    """The models of `GPUS` that people or drivers call so: `Tesla T4` is `T4`, and `A100` those of either memory.

    Nothing but maker, board and memory may stand beside the model: a `RTX 4090 Laptop GPU` is no `RTX-4090`.
    """
    words = _words(name) - DECORATION
    sizes = [int(word[:-2]) for word in words if SIZE.fullmatch(word)]
    return [
        model
        for model, gpu in GPUS.items()
        if _without_sizes(words) == _without_sizes(_words(model))
        and all(abs(gpu.total_bytes / GIB - size) <= SIZE_TOLERANCE * size for size in sizes)
    ]


def gpu_of_device(device_name: str, measured: Constants | None = None) -> Gpu:
    """The GPU that a driver calls `device_name`, by what a node measured of it, else by the documented defaults."""
    gpu = gpu_named(known_model(device_name))
    if measured is None:
        return gpu
    likely = measured.context_bytes + measured.libraries_bytes
    return replace(
        gpu,
        # No run does with less than a context. One may load as much again as the step that was measured.
        context=Interval(
            low_bytes=measured.context_bytes, likely_bytes=likely, high_bytes=likely + measured.libraries_bytes
        ),
        cublas_workspace_bytes=measured.cublas_workspace_bytes,
        convolution_scratch_likely_bytes=measured.convolution_workspace_bytes,
        # Other shapes may want more than those that were tried.
        convolution_scratch_high_bytes=max(CONVOLUTION_SCRATCH_HIGH_BYTES, measured.convolution_workspace_bytes),
        measured=measured,
    )


def allocator_limit(reserved_bytes: int, measured: Constants | None) -> int:
    """What torch's allocator may hold of a reservation, so that the context has room in it too.

    A run that wants more is told so by its allocator, with an explanation, before the watchdog would have to end it.
    """
    outside = CONTEXT.low_bytes if measured is None else measured.context_bytes + measured.libraries_bytes
    return max(reserved_bytes - outside, LEAST_LIMIT_BYTES)


def held_at_least(failure: Mapping[str, Any]) -> int | None:
    """What a run that ran out of memory had of the GPU and asked for, by what is known of its failure; null where
    nobody saw. No run does with less than a context."""
    tensors = failure.get("reserved_bytes") or failure.get("allocated_bytes")
    own = None if tensors is None else tensors + (failure.get("requested_bytes") or 0) + CONTEXT.low_bytes
    return max(filter(None, (failure.get("process_used_bytes"), own)), default=None)


def known_model(device_name: str) -> str | None:
    """The model of `GPUS` that a driver's name, such as `Tesla T4`, stands for; None where none does."""
    words = _words(device_name)
    return next((name for name in GPUS if _words(name) <= words), None)


def _words(name: str) -> set[str]:
    return set(re.findall(r"[A-Z0-9]+", name.upper()))


def _without_sizes(words: set[str]) -> set[str]:
    return {word for word in words if not SIZE.fullmatch(word)}
