"""GPU models by name: their memory, the emulated card that stands for them, and what a context takes. No torch here.

The context is a guess where no node has measured its own. That of a process that uses PyTorch is a property of the
driver, the CUDA version and the kernels it loads: since CUDA 11.7 they are loaded when first used, which leaves it near
300 to 500 MB; the homework's sheet shows about 592 MiB on a T4 in 2023.

Of what `nvidia-smi` shows as the total, the driver keeps a part that no program gets: of a T4's 15,360 MiB torch has
14.74 GiB, of an A100's 80 GiB 79.15, of an H100's 79.65 GiB 79.18 (torch's own messages in public reports).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import Field

from emulator.cards import CARDS
from experiments.contract import Spec
from experiments.hosting.emulated import emulated_name
from gpulab.schemas.memory import BytesInterval, Constants, ConstantsUsed, GpuVerdict, Prediction, Verdict

MIB = 1 << 20
GIB = 1 << 30
CONTEXT = BytesInterval(low_bytes=150 * MIB, likely_bytes=450 * MIB, high_bytes=700 * MIB)
DRIVERS_SHARE = 0.03
"""Of the total, kept by the driver, as a default: the largest known value."""
MIN_LIMIT_BYTES = 2 * MIB
"""One segment of the allocator."""
TYPICAL_CARD = "T4"
STAND_IN = "A100-40GB"
"""The emulated card that is used for a GPU that the emulator does not have. Most current GPUs run the same kernels."""

DECORATION = {"NVIDIA", "TESLA", "GEFORCE", "PCIE", "SXM2", "SXM3", "SXM4", "SXM5", "HBM2", "HBM2E", "HBM3", "HBM3E"}
"""Words beside a model that change neither its memory nor its constants."""
SIZE = re.compile(r"\d+GB")
SIZE_TOLERANCE = 0.1
"""A card sold as 24 GB shows 22.5 GiB, and one of 141 GB 140.4 GiB."""

SIZES = {name for name, field in Prediction.model_fields.items() if field.is_required()} - {"card", "torch_version"}
SIZES |= {"modules"}
"""The fields of a prediction that steps fill."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU model; the total is what `nvidia-smi` shows."""

    name: str
    total_bytes: int
    usable_bytes: int
    """What a program can have of it, context included."""
    card: str = STAND_IN
    """The emulated card that its steps are taken on."""
    context: BytesInterval = CONTEXT
    measured: Constants | None = None
    """What a node measured, where the context comes from it."""

    @property
    def constants(self) -> ConstantsUsed:
        """What a prediction says of the context."""
        source = "default" if self.measured is None else "measured"
        return ConstantsUsed(source=source, cuda_context=self.context, measured=self.measured)

    def room_of(self, total_bytes: int) -> int:
        """Of a device with this total, what a program can have; a limit below that is what it is."""
        return self.usable_bytes if total_bytes == self.total_bytes else total_bytes


def _other(name: str, total_mib: int, card: str) -> Gpu:
    return Gpu(name, total_mib * MIB, round((1 - DRIVERS_SHARE) * total_mib) * MIB, card)


TYPICAL = Gpu("typical", 0, 0, TYPICAL_CARD)
GPUS = {card.name: Gpu(card.name, card.total_bytes, card.usable_bytes, card.name) for card in CARDS.values()} | {
    gpu.name: gpu
    for gpu in (
        _other("V100-16GB", 16_384, "T4"),
        _other("V100-32GB", 32_768, "T4"),
        _other("RTX-2080-Ti", 11_264, "T4"),
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
    named = {TYPICAL.name: TYPICAL, **GPUS}
    gpu = named.get(known_model(device_name) or device_name, Gpu(device_name, 0, 0))
    if measured is None:
        return gpu
    likely = measured.context_bytes + measured.libraries_bytes
    return replace(
        gpu,
        # No run does with less than a context. One may load as much again as the step that was measured.
        context=BytesInterval(
            low_bytes=measured.context_bytes, likely_bytes=likely, high_bytes=likely + measured.libraries_bytes
        ),
        measured=measured,
    )


def gpu_of_run(device: str, measured: Constants | None) -> Gpu:
    """The GPU of a run by what is known of it without a look at it; a typical one for a run on the CPU."""
    name = measured.gpu if measured else emulated_name(device)
    return TYPICAL if name is None else gpu_of_device(name, measured)


def allocator_limit(reserved_bytes: int, measured: Constants | None) -> int:
    """What torch's allocator may hold of a reservation, so that the context has room in it too.

    A run that wants more gets an error with an explanation from its allocator, before the watchdog has to end it.
    """
    outside = CONTEXT.low_bytes if measured is None else measured.context_bytes + measured.libraries_bytes
    return max(reserved_bytes - outside, MIN_LIMIT_BYTES)


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


class GpuAsked(Spec):
    """A GPU that a workload may have to fit into."""

    name: str = Field(min_length=1, max_length=200)
    """A model that the predictor knows, or what the driver calls the device."""
    total_bytes: int = Field(ge=1, le=2**50)
    """Its memory."""
    constants: Constants | None = None
    """What its node measured of it; null for the documented defaults."""
    outgrown: bool = False
    """Whether a run ran out of this memory, whatever was predicted: then an edit has to lower the prediction."""
    held_bytes: int | None = Field(default=None, ge=1, le=2**50)
    """What that run held or asked for in the end, at least; null if unknown."""

    @property
    def key(self) -> str:
        """Differs wherever the answer may: by model, memory, and the software that constants hold for."""
        software = [self.constants.provenance] if self.constants else []
        outgrown = [f"outgrown by {self.held_bytes}" if self.held_bytes else "outgrown"] if self.outgrown else []
        return "/".join([self.name, str(self.total_bytes), *software, *outgrown])


def facts_of(asked: GpuAsked, torch_version: str) -> dict[str, Any]:
    """The fields of a verdict that need no steps."""
    models = models_called(asked.name)
    gpu = gpu_of_device(asked.name, asked.constants)
    return {
        "name": asked.name,
        "model": models[0] if len(models) == 1 else None,
        "total_bytes": asked.total_bytes,
        "card": gpu.card,
        "torch_version": torch_version,
        "constants": gpu.constants,
    }


def nothing_predicted(asked: GpuAsked, reason: str, torch_version: str) -> GpuVerdict:
    """The verdict on a GPU on which the steps could not be taken."""
    nothing = dict.fromkeys((*SIZES, "max_batch_size", "max_batch_size_without_retries"))
    return GpuVerdict(
        **facts_of(asked, torch_version) | nothing,
        verdict=Verdict.NOT_PREDICTED,
        reason=reason,
        certain=False,
        edits=[],
    )
