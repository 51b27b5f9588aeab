"""The device nodes of GPUs, found without the driver's library."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")
INFORMATION = "proc/driver/nvidia/gpus"
CAPABILITIES = "proc/driver/nvidia-caps/mig-minors"
SHARED = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools")
"""Every program that uses a GPU opens these; they reach no GPU whose own node is missing."""


class DeviceError(Exception):
    """A GPU whose device node is not known."""


@dataclass(frozen=True, slots=True)
class MigInstance:
    """A part of a GPU, by the driver's own numbers."""

    gpu_uuid: str
    gpu_instance: int
    compute_instance: int


def device_nodes(
    uuids: Iterable[str], instances: Mapping[str, MigInstance] | None = None, root: Path = ROOT
) -> tuple[Path, ...]:
    """What a program needs for these GPUs and for no others. `instances`: those of them that are parts of a GPU, by
    UUID. Raises `DeviceError` for a GPU that is not found.

    The parts of one GPU share its node. To use a part, the driver also wants the nodes of its two capabilities.
    """
    wanted = list(uuids)
    if not wanted:
        return ()
    parts = {uuid: instances[uuid] for uuid in wanted if uuid in instances} if instances else {}
    gpus = {uuid: parts[uuid].gpu_uuid if uuid in parts else uuid for uuid in wanted}
    minors = _minors(root / INFORMATION)
    missing = [uuid for uuid, gpu in gpus.items() if gpu not in minors]
    if missing:
        raise DeviceError(f"there is no known device node for {', '.join(missing)}")
    dev = root / "dev"
    shared = [dev / name for name in SHARED if (dev / name).exists()]
    own = dict.fromkeys(dev / f"nvidia{minors[gpu]}" for gpu in gpus.values())
    numbers = _capabilities(root / CAPABILITIES) if parts else {}
    names = dict.fromkeys(name for part in parts.values() for name in _names(part, minors[part.gpu_uuid]))
    if absent := [name for name in names if name not in numbers]:
        raise DeviceError(f"the driver names no device node for {', '.join(absent)}")
    return (*shared, *own, *(dev / "nvidia-caps" / f"nvidia-cap{numbers[name]}" for name in names))


def _minors(information: Path) -> dict[str, str]:
    """The minor number of each GPU, by UUID."""
    found = {}
    for path in sorted(information.glob("*/information")):
        lines = (line.partition(":") for line in path.read_text(encoding="utf-8").splitlines())
        fields = {name.strip(): value.strip() for name, _, value in lines}
        if "GPU UUID" in fields and "Device Minor" in fields:
            found[fields["GPU UUID"]] = fields["Device Minor"]
    return found


def _names(part: MigInstance, minor: str) -> Iterator[str]:
    """Of the capabilities that give access to one instance, as the driver lists them."""
    instance = f"gpu{minor}/gi{part.gpu_instance}"
    yield f"{instance}/access"
    yield f"{instance}/ci{part.compute_instance}/access"


def _capabilities(listed: Path) -> dict[str, str]:
    """The minor number of each capability. Empty where the driver does not use device nodes for them."""
    try:
        lines = listed.read_text(encoding="ascii").splitlines()
    except OSError:
        return {}
    return {name: number for name, _, number in (line.partition(" ") for line in lines) if number.isdigit()}
