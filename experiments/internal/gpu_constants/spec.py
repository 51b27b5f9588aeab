"""`gpu-constants`, by which a node measures what its GPUs hold of a process besides tensors."""

from experiments.contract import Experiment, Result, Spec

SLUG = "gpu-constants"
CONTEXT = "context"
LIBRARIES = "libraries"
STAGES = (CONTEXT, LIBRARIES)
"""Phases of the run. At each it holds still until the file `seen(stage)` appears in its folder."""
TIMEOUT_SECONDS = 30.0
"""The longest time that it waits at each phase."""


def seen(stage: str) -> str:
    """The name of the file that says that the worker has read."""
    return f"{stage}.seen"


class GpuConstantsSpec(Spec):
    """There is nothing to choose."""


class GpuConstantsResult(Result):
    """The part that torch's allocator knows; the worker reads the rest from the driver."""

    cublas_workspace_bytes: int
    """What cuBLAS took through the allocator and kept."""
    convolution_workspace_bytes: int
    """The most scratch memory that one of the convolutions took."""


EXPERIMENT = Experiment(
    slug=SLUG,
    title="Constants of a GPU",
    summary="Holds a CUDA context, then the libraries of a small training step, while its node reads the driver.",
    spec=GpuConstantsSpec,
    result=GpuConstantsResult,
    run="experiments.internal.gpu_constants.run:run",
    default_time_limit_seconds=120,
)
