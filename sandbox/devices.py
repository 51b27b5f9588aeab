"""The device nodes of GPUs, found without the driver's library."""

from collections.abc import Iterable
from pathlib import Path

INFORMATION = Path("/proc/driver/nvidia/gpus")
DEV = Path("/dev")
SHARED = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools")
"""Every program that uses a GPU opens these; they reach no GPU whose own node is missing."""


class DeviceError(Exception):
    """A GPU whose device node is not known."""


def device_nodes(uuids: Iterable[str], information: Path = INFORMATION, dev: Path = DEV) -> tuple[Path, ...]:
    """What a program needs for these GPUs and for no others. Raises `DeviceError` for a GPU that is not found."""
    wanted = list(uuids)
    if not wanted:
        return ()
    minors = _minors(information)
    missing = [uuid for uuid in wanted if uuid not in minors]
    if missing:
        raise DeviceError(f"there is no known device node for {', '.join(missing)}")
    shared = [dev / name for name in SHARED if (dev / name).exists()]
    return (*shared, *(dev / f"nvidia{minors[uuid]}" for uuid in wanted))


def _minors(information: Path) -> dict[str, str]:
    """The minor number of each GPU, by UUID."""
    found = {}
    for path in sorted(information.glob("*/information")):
        lines = (line.partition(":") for line in path.read_text(encoding="utf-8").splitlines())
        fields = {name.strip(): value.strip() for name, _, value in lines}
        if "GPU UUID" in fields and "Device Minor" in fields:
            found[fields["GPU UUID"]] = fields["Device Minor"]
    return found
