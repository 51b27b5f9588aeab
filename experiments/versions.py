"""The versions that a run's numbers must be quoted with."""

import platform
from functools import cache
from importlib.metadata import version


@cache
def versions() -> dict[str, str]:
    """Python's and the numerical packages'; read from their metadata, without importing them."""
    packages = {name: version(name) for name in ("torch", "torchvision", "numpy")}
    return {"python": platform.python_version(), **packages}
