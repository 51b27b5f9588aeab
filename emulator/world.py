"""The emulated machine as a text file, which the C library reads again whenever it changes.

Processes that name the file in `GPULAB_EMULATED_WORLD` live on one machine: what each holds of a card is kept in a
registry beside the file, and is what NVML says and what the others cannot have.
"""

import os
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID, uuid5

from emulator.cards import Card

GIB = 1 << 30
VARIABLE = "GPULAB_EMULATED_WORLD"
ENDLESS_BYTES = 1 << 46
"""More than any step takes; the address space of a process holds it."""
NAMESPACE = UUID("582e3634-47ad-4eef-a7fd-827add80de7e")
DRIVER_VERSION, CUDA_VERSION = "580.65.06", 13000


@dataclass(frozen=True, slots=True)
class EmulatedGpu:
    """One GPU, or one MIG instance, in NVML's own units. None stands for "this GPU does not support it"."""

    uuid: str
    name: str = "NVIDIA Fake 80GB"
    total: int | None = 80 * GIB
    reserved: int = 0
    """Bytes of the total that the driver keeps for itself."""
    base_used: int = GIB // 2
    """Bytes used apart from the processes."""
    used: int | None = None
    """Bytes used altogether; None for `base_used` plus the processes."""
    utilization: int | None = 37
    memory_utilization: int | None = 12
    power: int | None = 250_000
    """Milliwatts."""
    temperature: int | None = 41
    energy: int | None = 5_000_000
    """Millijoules since the driver was loaded."""
    mig: int | None = 0
    processes: Mapping[int | str, int | None] = field(default_factory=dict)
    """Pid to bytes, None for "not available", besides the processes that really allocate. The pid `"*"` is every
    session leader below the process that asks: the jobs of a worker."""
    swapped: int | None = None
    """1: pid and bytes of each process change places, as one driver release did."""
    fail: Mapping[str, int] = field(default_factory=dict)
    """NVML error code for `handle`, `uuid`, `name`, `memory`, `utilization`, `power`, `temperature`, `energy`, `mig`,
    `processes`, `events`, or `all` of them."""
    lost: int = 0
    """An error of CUDA, such as 719 for a failed launch, that every further call on the GPU gives."""
    xids: Sequence[int] = ()
    """Every fault so far; a program that listens hears of those that are added."""
    mig_devices: Sequence["EmulatedGpu"] = ()
    card: Card | None = None
    """What CUDA says of it; None for a GPU that only NVML is asked about."""

    def lines(self, kind: str = "gpu") -> Iterator[str]:
        yield f"{kind} {self.uuid}"
        for key in ("name", "total", "reserved", "base_used", "used", "utilization", "memory_utilization"):
            yield from _line(key, getattr(self, key))
        for key in ("power", "temperature", "energy", "mig", "swapped", "lost"):
            yield from _line(key, getattr(self, key))
        for pid, used in self.processes.items():
            yield f"process {pid} {'na' if used is None else used}"
        for key, code in self.fail.items():
            yield f"fail {key} {code}"
        for xid in self.xids:
            yield f"xid {xid}"
        if self.card is not None:
            yield from _lines_of(self.card)
        for instance in self.mig_devices:
            yield from instance.lines("mig_device")


def emulated(card: Card, index: int) -> EmulatedGpu:
    """A card as a machine has it at place `index`: nothing on it, and no reading that cannot be known."""
    return EmulatedGpu(
        uuid_of(card, index),
        name=card.emulated_name,
        total=card.total_bytes,
        reserved=card.total_bytes - card.usable_bytes,
        base_used=0,
        utilization=None,
        memory_utilization=None,
        power=None,
        temperature=None,
        energy=None,
        card=card,
    )


def uuid_of(card: Card, index: int) -> str:
    """The same at every start. Another machine of a lab, or another card in this place later, has another one."""
    return f"GPU-{uuid5(NAMESPACE, f'{platform.node()} {card.name} {index}')}"


def with_room(card: Card, room_bytes: int) -> EmulatedGpu:
    """A card whose programs can allocate `room_bytes`, whatever its size; its context takes nothing of them."""
    bare = replace(card, generation=replace(card.generation, context_bytes=0, cublas_bytes=0, cudnn_bytes=0))
    return replace(emulated(bare, 0), base_used=card.usable_bytes - room_bytes)


def _line(key: str, value: object) -> Iterator[str]:
    if value is not None:
        yield f"{key} {value}"


def _lines_of(card: Card) -> Iterator[str]:
    generation = card.generation
    major, minor = generation.capability
    yield f"real_name {card.driver_name}"
    yield f"major {major}"
    yield f"minor {minor}"
    yield f"multiprocessors {card.multiprocessors}"
    yield f"clock_khz {card.clock_mhz * 1000}"
    yield f"memory_clock_khz {card.memory_clock_mhz * 1000}"
    yield f"bus_bits {card.bus_bits}"
    yield f"l2_bytes {card.l2_bytes}"
    yield f"ecc {int(card.ecc)}"
    for key in ("threads_per_multiprocessor", "blocks_per_multiprocessor", "shared_bytes", "shared_bytes_per_block"):
        yield f"{key} {getattr(generation, key)}"
    for key in ("context_bytes", "cublas_bytes", "cudnn_bytes"):
        yield f"{key} {getattr(generation, key)}"


class World:
    """One emulated machine; `write` replaces it, whole, and every process sees it at its next call."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(
        self,
        *gpus: EmulatedGpu,
        driver_version: str = DRIVER_VERSION,
        cuda_version: int = CUDA_VERSION,
        init_error: int = 0,
    ) -> None:
        part = self.path.with_suffix(".part")
        part.write_text(_text(gpus, driver_version, cuda_version, init_error))
        now = time.time_ns()
        os.utime(part, ns=(now, now))  # the kernel's own stamp is too coarse to tell two quick writes apart
        part.replace(self.path)


def become(*gpus: EmulatedGpu) -> None:
    """Give this process its own machine, which has no name and leaves no file behind.

    For a process that has the emulated driver. Once it has used it, only the room on its GPUs can change.
    """
    file = os.memfd_create("gpulab-emulated")
    os.write(file, _text(gpus, DRIVER_VERSION, CUDA_VERSION, 0).encode())
    os.environ[VARIABLE] = f"/proc/self/fd/{file}"
    os.environ.pop("CUDA_VISIBLE_DEVICES", None)


def _text(gpus: Sequence[EmulatedGpu], driver_version: str, cuda_version: int, init_error: int) -> str:
    lines = [f"driver {driver_version}", f"cuda {cuda_version}", f"init {init_error}"]
    return "\n".join([*lines, *(line for gpu in gpus for line in gpu.lines())]) + "\n"
