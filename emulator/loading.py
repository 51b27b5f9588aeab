"""Puts the emulated driver in the place of a real one, before anything asks for it.

Two ways: `load` into this process, and `environment` for programs that are started with it, whatever they start in
turn. A process that has it can load no real driver any more, so it is refused where there is one.
"""

import atexit
import ctypes
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from shutil import rmtree

from emulator.build import CUDA, NVML, build
from emulator.cards import cards
from emulator.folders import new_folder
from emulator.world import VARIABLE, World, emulated

CARDS_VARIABLE = "GPULAB_EMULATE"
"""Cards to emulate, as `T4,T4`: a worker that starts with it set has them in place of real ones."""
TRITON_VARIABLE = "TRITON_LIBCUDA_PATH"
"""Where Triton, the compiler behind `torch.compile`, finds the driver: it does not ask for it by its name alone."""
REAL_DRIVERS = ("/dev/nvidia0", "/dev/nvidiactl", "/dev/dxg")
_loaded: list[ctypes.CDLL] = []


class RefusedError(Exception):
    """Why nothing is emulated in this process, in words."""


def is_emulated() -> bool:
    """Whether the GPUs of this process are emulated."""
    return bool(os.environ.get(CARDS_VARIABLE))


def load(names: str) -> World:
    """Give this process, and those it starts, the cards of a list such as `T4,T4`. Before torch is imported.

    Joins the machine of `GPULAB_EMULATED_WORLD` where one is set. Raises `RefusedError`, `BuildError`, and
    `ValueError` for a card that is not known.
    """
    if "torch" in sys.modules:
        raise RefusedError("emulate a GPU before torch is imported: torch has already looked for a driver")
    world = _joined() or start(names)
    _load(CUDA)
    _load(NVML)
    return world


def preload() -> None:
    """Put the emulated driver into this process, without any card and also beside a real driver, before torch.

    A process forked from it gets its cards from `emulator.world.become`. None of them ever sees a real GPU. Raises
    `RefusedError` and `BuildError`.
    """
    if "torch" in sys.modules:
        raise RefusedError("emulate a GPU before torch is imported: torch has already looked for a driver")
    _load(CUDA)
    _load(NVML)


def build_cudnn_tables() -> bool:
    """Let cuDNN build what it builds for its first plan, in a process that has the emulated driver and loaded cuDNN.

    Those that are forked from it then need not. Whether it did.
    """
    return bool(_loaded and _loaded[0].gpulab_build_cudnn_tables())


def check(names: str) -> None:
    """Build what emulates these cards, and load nothing. Raises `RefusedError` and `BuildError`."""
    refuse_beside_a_driver()
    try:
        cards(names)
    except ValueError as error:
        raise RefusedError(str(error)) from None
    build()


def serve(names: str) -> World:
    """For a process that measures and starts others: it reads the cards of `names`, and they use them."""
    try:
        world = _joined() or start(names)
    except ValueError as error:
        raise RefusedError(str(error)) from None
    os.environ.update({CARDS_VARIABLE: names, **environment(world)})
    load_nvml()
    return world


def load_nvml() -> None:
    """Only the side that is read: for a process that measures and has no torch."""
    refuse_beside_a_driver()
    _load(NVML)


def start(names: str, folder: Path | None = None) -> World:
    """A new machine with these cards, in `folder` or for as long as this process lives; `environment` joins it."""
    refuse_beside_a_driver()
    wanted = [emulated(card, index) for index, card in enumerate(cards(names))]
    build()
    world = World((folder or _own_folder()) / "world.txt")
    world.write(*wanted)
    os.environ.update({CARDS_VARIABLE: names, **environment(world)})
    return world


def environment(world: World, base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What a program must be started with to live on that machine: it preloads the emulated driver."""
    place = build()
    ours = [str(place / CUDA), str(place / NVML)]
    others = [path for path in base.get("LD_PRELOAD", "").split(":") if path and path not in ours]
    preloads = ":".join([*ours, *others])
    return {VARIABLE: str(world.path), "LD_PRELOAD": preloads, TRITON_VARIABLE: str((place / CUDA).parent)}


def refuse_beside_a_driver() -> None:
    """Raises `RefusedError` where this machine has a real GPU's driver: its figures must never be mixed up."""
    if (found := real_driver()) is not None:
        raise RefusedError(f"this machine has {found}; the emulator does not run next to it")


def real_driver() -> str | None:
    """What this machine has of a real GPU's driver, in words; None for nothing."""
    for path in REAL_DRIVERS:
        if Path(path).exists():
            return f"a GPU of its own ({path})"
    for library in (CUDA, NVML):
        if (found := _driver_library(Path(library).name)) is not None:
            return f"NVIDIA's driver ({found})"
    return None


def _driver_library(name: str) -> str | None:
    """Where an installed driver keeps such a library."""
    folders = ("/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/lib/wsl/lib", "/usr/local/nvidia/lib64")
    return next((path for folder in folders if Path(path := f"{folder}/{name}").exists()), None)


def _joined() -> World | None:
    path = os.environ.get(VARIABLE)
    if not path:
        return None
    refuse_beside_a_driver()
    return World(Path(path))


def _load(name: str) -> None:
    _loaded.append(ctypes.CDLL(str(build() / name), mode=ctypes.RTLD_GLOBAL))


def _own_folder() -> Path:
    folder = new_folder()
    atexit.register(_remove, folder, os.getpid())
    return folder


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:
        rmtree(folder, ignore_errors=True)
