"""A GPU that isn't there: real PyTorch on a library of ours that pretends to be a named card.

    import emulator
    emulator.load("T4,T4")      # before torch
    import torch                # torch.cuda sees two T4

Kernels do nothing and memory is reserved address space; PyTorch's own allocator, cuDNN's own heuristics and the
workspaces of cuBLAS do the rest. A figure from it is "PyTorch's allocator on an emulated T4", never "measured on a
GPU": docs/emulator.md says what it is and what it is not.
"""

from emulator.build import BuildError
from emulator.loading import RefusedError, check, environment, is_emulated, load, load_nvml, serve, start
from emulator.measurement import Measurement, Outcome
from emulator.measuring import measure

__all__ = [
    "BuildError",
    "Measurement",
    "Outcome",
    "RefusedError",
    "check",
    "environment",
    "is_emulated",
    "load",
    "load_nvml",
    "measure",
    "serve",
    "start",
]
