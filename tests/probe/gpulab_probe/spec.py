"""Parameters of the probe."""

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from experiments.contract import Experiment, GpuUse, Result, Spec
from experiments.memory.contract import Workload


class ProbeSpec(Spec):
    steps: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Steps to do; each records the metrics `step` (its number) and `double`."""
    gate: str | None = None
    """Before step n the run waits until the file `gate` holds a number of n or more."""
    checkpoint_every: Annotated[int, Field(ge=0)] = 0
    """Steps between checkpoints; 0 for none."""
    ignore_stop: bool = False
    """Never look at the stop flag."""
    child: bool = False
    """Start a child process that ignores SIGTERM and outlives its parent if nobody ends it."""
    ending: Literal["result", "error", "diverged", "out_of_memory", "segfault", "exit", "nan", "full_gpu"] = "result"
    """How it ends after the last step."""
    snapshot: bool = False
    """Keep the allocator's snapshots of a small training that somebody might have done."""
    alone_in: str | None = None
    """A folder in which the run locks a file of its job's; it fails where another process of the job holds that."""
    dataset: str | None = None
    """A data set it asks for."""
    batch_size: Annotated[int, Field(ge=1, le=65_536)] | None = None
    """The probe on a GPU says that it trains a ResNet-18 with this batch size; null says nothing."""


class ProbeResult(Result):
    total: int
    """Sum of the step numbers this and earlier attempts did; n(n+1)/2 when each was done once."""
    resumed_from: int
    """Step of the checkpoint it went on from; 0 for a fresh start."""


EXPERIMENT = Experiment(
    slug="probe",
    title="Probe",
    summary="Does what its spec says, good or bad.",
    spec=ProbeSpec,
    result=ProbeResult,
    run="gpulab_probe.run:run",
    gpu=GpuUse.NONE,
    datasets=lambda spec: (spec.dataset,) if spec.dataset else (),
)


def workload(spec: ProbeSpec) -> Workload | None:
    return None if spec.batch_size is None else Workload(model="resnet18", batch_size=spec.batch_size)


GPU_EXPERIMENT = replace(EXPERIMENT, slug="probe-gpu", title="Probe on a GPU", gpu=GpuUse.PREFERRED, workload=workload)
