"""What a process loads before it predicts, and the process that predicts for those without the emulated driver."""

import ctypes
import gc
import os
import sys
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path

from emulator.loading import build_cudnn_tables, preload
from experiments.memory import processes

LIBRARIES = ("cudnn/lib/libcudnn*.so.*", "cu13/lib/libcublas*.so.*")


def load() -> None:
    """Torch, the catalogue's models and the libraries. Nothing here may ask for a device: the children get theirs."""
    import torch
    import torchvision  # noqa: F401 - loaded for its side effect

    import experiments.memory.predictor  # noqa: F401 - same

    torch.set_num_threads(1)
    load_libraries()
    gc.collect()
    gc.freeze()


def load_libraries() -> None:
    """Those that torch loads when they are first used: once here, and not in every child."""
    spec = find_spec("nvidia")
    for folder in spec.submodule_search_locations or () if spec else ():
        for pattern in LIBRARIES:
            for path in sorted(Path(folder).glob(pattern)):
                ctypes.CDLL(str(path))
    build_cudnn_tables()


def main(descriptor: int) -> None:
    """Answer the calls that `processes` sends."""
    os.dup2(2, 1)
    preload()
    load()
    processes.allow_forks()
    processes.serve(Connection(descriptor))


if __name__ == "__main__":
    main(int(sys.argv[1]))
