"""Why the driver of this machine cannot be read."""

from importlib import metadata
from pathlib import Path

import pynvml

from emulator.loading import REAL_DRIVERS


def is_loaded() -> bool:
    """Whether the kernel has a driver for GPUs: it made their device files."""
    return any(Path(path).exists() for path in REAL_DRIVERS)


def absence(error: pynvml.NVMLError) -> str:
    """What an error of NVML's start means."""
    known = {
        pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: "no NVIDIA driver is installed: libnvidia-ml.so.1 was not found",
        pynvml.NVML_ERROR_DRIVER_NOT_LOADED: "the NVIDIA driver is installed but its kernel module is not loaded",
        pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: "the NVIDIA driver's library and kernel module differ in version: "
        "reboot after a driver update",
    }
    return known.get(error.value, f"NVML did not start: {error}")


def old_distribution() -> str | None:
    """The distribution `pynvml` before 12 brings a module of the same name, years older, and import order decides."""
    try:
        old = metadata.distribution("pynvml")
    except metadata.PackageNotFoundError:
        return None
    if int(old.version.split(".")[0]) >= 12:
        return None
    return (
        f"the old distribution pynvml {old.version} is installed next to nvidia-ml-py and hides it: "
        "run `pip uninstall pynvml`, then reinstall nvidia-ml-py"
    )
