"""What an experiment is, and what its run may do. No torch here: the API and the scheduler read this module.

An experiment is a package with three modules: `spec.py` (its parameters, its result, the `EXPERIMENT` object;
torch-free), `run.py` (the computation) and `figures.py` (its images). A run knows nothing of queues, databases or
HTTP: it gets a validated spec and a `Run`, and whatever it says through the `Run` ends up as records and files in one
directory.
"""

import errno
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from experiments.memory.contract import ProgramRun, Workload
    from gpulab.schemas.memory import Constants, Prediction

SPEC_FILE = "spec.json"
SAMPLES_FILE = "samples.ndjson"
OUTPUT_FILE = "output.log"
DISK_TROUBLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.EREMOTEIO})
"""A disk that is full, read-only or broken, its own or that of a server."""

S = TypeVar("S", bound="Spec")
R = TypeVar("R", bound="Result")


class Spec(BaseModel):
    """Parameters of one run: frozen, finite numbers only, unknown fields refused. Every field carries a sentence."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class Result(BaseModel):
    """What one run found: frozen, finite numbers only. Units are in the names (`_bytes`, `_seconds`)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class GpuUse(StrEnum):
    """How an experiment relates to a GPU."""

    NONE = "none"
    """Runs on the CPU, always."""
    PREFERRED = "preferred"
    """Takes a GPU where the lab has one, the CPU otherwise."""
    EXCLUSIVE = "exclusive"
    """As preferred, and a whole GPU, because it measures the device's memory or time."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One series a run records, so that clients can label axes."""

    name: str
    unit: str = "1"
    direction: Literal["min", "max", "none"] = "none"
    description: str = ""


@dataclass(frozen=True, slots=True)
class Unpredicted:
    """Why the GPU memory of a run is not predicted, in a few words."""

    reason: str


SILENT = Unpredicted("its experiment does not describe its training step")
UNMEASURED = Unpredicted(
    "no run of this program with these parameters was measured: without `gpu_memory_bytes` it takes a whole GPU"
)
ON_THE_CPU = Unpredicted("it runs on the CPU and takes no GPU memory")


@dataclass(frozen=True, slots=True)
class Experiment(Generic[S, R]):
    """One entry of the catalogue. Everything here can be read without importing torch."""

    slug: str
    title: str
    summary: str
    spec: type[S]
    result: type[R]
    run: str
    """Where the computation lives, as `package.module:function` with the signature `(spec, run) -> Result`."""
    figures: str | None = None
    """Where the images live, `package.module:function`, `(spec, result) -> Mapping[str, matplotlib Figure]`."""
    metrics: tuple[Metric, ...] = ()
    gpu: GpuUse = GpuUse.PREFERRED
    datasets: Callable[[S], tuple[str, ...]] = field(default=lambda _spec: ())
    """Names of the data sets a spec needs; a node without them never gets the job."""
    workload: Callable[[S], Any] | None = None
    """What decides a spec's memory: the training step, a `memory.contract.Workload`, or a `ProgramRun`; None where
    nothing is predicted."""
    default_time_limit_seconds: int = 3600
    sandboxed: bool = False
    """True for a student's own code: a worker runs it in a sandbox, by `python -m experiments.program_host`."""

    def workload_of(self, spec: S) -> "Workload | ProgramRun | Unpredicted":
        """What a run with this spec trains, or why its GPU memory is not predicted."""
        if self.gpu is GpuUse.NONE:
            return ON_THE_CPU
        found: Workload | ProgramRun | None = None if self.workload is None else self.workload(spec)
        return found or (UNMEASURED if self.sandboxed else SILENT)


class Stopped(Exception):  # noqa: N818 - it is not an error: the run was asked to stop and did
    """Raised by a run that saw `should_stop()` and has saved what it wants to keep."""


class Diverged(Exception):  # noqa: N818 - the name is the state's cause
    """Raised by a run whose loss is no longer finite; the job's cause becomes `diverged`."""


class CannotFit(Exception):  # noqa: N818 - the name is the state's cause
    """Raised by a run that knows before starting that its memory cannot suffice; the cause becomes `cannot_fit`."""


class Run(Protocol):
    """A run's only door to the outside. Calls are cheap, but for `predicted`: one appended line, no device sync."""

    seed: int
    device: str
    """`"cpu"` or `"cuda"`; with `"cuda"` exactly the leased GPUs are visible."""
    datasets_folder: Path
    cache_folder: Path
    """For things that are dear to make and safe to lose, shared by the runs of a node."""
    gpu_constants: "Constants | None"
    """What the node measured of the leased GPU; null where it did not."""

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Record scalars at a step (a count of optimizer steps, epochs or samples; it must not decrease)."""

    def progress(self, fraction: float, message: str = "") -> None:
        """Say how far the run is, 0 to 1, and in a few words what it does."""

    def phase(self, name: str) -> None:
        """Mark on the time axis that a phase begins: `model`, `forward`, `backward`, `step`, `evaluation`, ..."""

    def memory(self, *, allocated_bytes: int, reserved_bytes: int, peak_allocated_bytes: int | None = None) -> None:
        """Record one reading of the CUDA caching allocator."""

    def predicted(self) -> "Prediction | None":
        """What a GPU was predicted to show of this run; null where nothing is predicted. It may take a second."""

    def artifact(self, name: str) -> AbstractContextManager[Path]:
        """Yield a path to write; on a clean exit the file becomes the artifact `name`, whole or not at all."""

    def table(self, name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Keep a table as the artifact `name` + `.csv`."""

    def checkpoint(self, step: int) -> AbstractContextManager[Path]:
        """Yield a path to write; on a clean exit it replaces the checkpoint before it."""

    def latest_checkpoint(self) -> tuple[int, Path] | None:
        """The step and file to go on from, or None for a fresh start. Metrics recorded after it were taken back."""

    def should_stop(self) -> bool:
        """True once the run was asked to end. Checkpoint if you can, then raise `Stopped`."""
