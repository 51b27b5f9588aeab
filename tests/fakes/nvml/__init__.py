"""A GPU machine made of text, for what only asks NVML: the emulator's `libnvidia-ml.so.1` and a world of its own.

    world = FakeNvml(tmp_path, build_library(tmp_path))
    world.write(FakeGpu("GPU-1", processes={"*": 2 << 30}))
    subprocess.Popen([sys.executable, "-m", "worker"], env={**os.environ, **world.env})

It is a library in C because that is the only way to run pynvml's real ctypes path. A process that starts with
`world.env` finds it by name, as it would find the driver's; `loaded()` gives it to pynvml in this process.
"""

import ctypes
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pynvml

from emulator.build import NVML_BY_PATH, build
from emulator.world import GIB, VARIABLE, World
from emulator.world import EmulatedGpu as FakeGpu

__all__ = ["GIB", "FakeGpu", "FakeNvml", "build_library"]


def build_library(folder: Path, missing: Sequence[str] = ()) -> Path:
    """The library without the symbols in `missing`, as an older driver would be."""
    return build(missing) / NVML_BY_PATH


class FakeNvml(World):
    """One scripted world: `write` it, then start a process with `env`, or use `loaded` in this one."""

    def __init__(self, folder: Path, library: Path) -> None:
        super().__init__(folder / "fake_nvml.txt")
        self.library = library
        self.write()

    @property
    def env(self) -> dict[str, str]:
        """What a process needs in its environment to find the library under the driver's name."""
        paths = [str(self.library.parent), os.environ.get("LD_LIBRARY_PATH", "")]
        return {"LD_LIBRARY_PATH": ":".join(filter(None, paths)), VARIABLE: str(self.path)}

    @contextmanager
    def loaded(self) -> Iterator[None]:
        """Give the library to pynvml in this process, where the loader's search path can no longer be changed."""
        before = os.environ.get(VARIABLE)
        os.environ[VARIABLE] = str(self.path)
        _give_to_pynvml(ctypes.CDLL(str(self.library)))
        try:
            yield
        finally:
            _give_to_pynvml(None)
            os.environ.pop(VARIABLE)
            if before is not None:
                os.environ[VARIABLE] = before


def _give_to_pynvml(library: ctypes.CDLL | None) -> None:
    pynvml.nvmlLib = library
    pynvml._nvmlGetFunctionPointer_cache.clear()
