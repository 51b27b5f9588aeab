"""Parameters and result of `max-batch`."""

from typing import Self

from pydantic import Field, model_validator

from experiments.contract import Experiment, GpuUse, Result, Spec
from experiments.memory.contract import Workload
from experiments.memory.devices import gpu_named
from experiments.torchvision_models import ModelName, check_image_size
from experiments.training.recipe import Optimizer, Precision
from gpulab.schemas.memory import BytesInterval


class MaxBatchSpec(Spec):
    """A training step and a memory size. The defaults are the homework's ResNet-18 on a T4."""

    model: ModelName = "resnet18"
    """A torchvision classification model with random weights. Nothing is downloaded."""
    num_classes: int = Field(default=10, ge=2, le=100_000)
    """The number of classes, which sets the size of the last layer."""
    image_size: int = Field(default=224, ge=1, le=1024)
    """Height and width of the images in pixels."""
    optimizer: Optimizer = "sgd_momentum"
    """The optimizer. Its state takes 0, 1, 2 or 2 times the bytes of the parameters, in the order of the choices."""
    precision: Precision = "float32"
    """`bfloat16` and `float16` use mixed precision for the layers that support it."""
    checkpointing: bool = False
    """Whether blocks keep only their inputs and recompute the rest in the backward pass."""
    gpu: str | None = Field(default="T4", max_length=50)
    """A GPU model that the estimator knows, with its context and workspace. Null means a typical one."""
    memory_bytes: int | None = Field(default=None, ge=2**20, le=2**50)
    """The memory to fit into. Null means the memory of the GPU model: 3 % less than `nvidia-smi` shows."""
    confirm: bool = True
    """Whether to run real steps near the answer, if the run has a GPU of at least that memory."""

    @model_validator(mode="after")
    def _can_be_asked(self) -> Self:
        check_image_size(self.model, self.image_size)
        gpu_named(self.gpu)
        if self.gpu is None and self.memory_bytes is None:
            raise ValueError("set gpu or memory_bytes; both are null")
        return self

    @property
    def budget_bytes(self) -> int:
        """The memory that the step has to fit into."""
        return self.memory_bytes or gpu_named(self.gpu).usable_bytes


def workload(spec: MaxBatchSpec) -> Workload:
    """The training step, at a batch size that is still to be found."""
    names = Workload.model_fields.keys() & MaxBatchSpec.model_fields.keys()
    return Workload.model_validate(spec.model_dump(include=set(names)))


class Probe(Result):
    """The prediction at one batch size."""

    batch_size: int
    """Images in a forward and backward pass."""
    peak_allocated_bytes: int
    """The most that tensors take, as the caching allocator counts them."""
    peak_reserved_bytes: int
    """The most that the allocator holds."""
    peak_device_bytes: BytesInterval
    """What the device shows in use, context included."""


class RealStep(Result):
    """Two real optimizer steps at one batch size, under a cap of the process's own allocator."""

    batch_size: int
    """Images in a forward and backward pass."""
    fits: bool
    """Whether both steps ended without running out of memory."""
    peak_allocated_bytes: int | None
    """The most that tensors took; null where the steps did not end."""
    peak_reserved_bytes: int | None
    """The most that the allocator held; null where the steps did not end."""


class MaxBatchResult(Result):
    """The largest batch, by prediction and by real steps."""

    memory_bytes: int
    """What had to suffice."""
    largest_batch_size: int | None
    """The largest batch that fits beside the likely context; null where not even one image does."""
    largest_without_retries: int | None
    """The largest batch for which the allocator never has to return free blocks and try again."""
    certain_batch_size: int | None
    """The largest batch beside the largest context to expect."""
    possible_batch_size: int | None
    """The largest batch beside the smallest context to expect."""
    probes: list[Probe]
    """Predictions around the largest batch, by batch size."""
    real_steps: list[RealStep]
    """The steps taken, in their order; empty where none were."""
    confirmed_batch_size: int | None
    """The largest batch whose real steps fitted."""
    reason: str | None
    """Why nothing is confirmed; null where it is."""


EXPERIMENT = Experiment(
    slug="max-batch",
    title="The largest batch that fits",
    summary=(
        "Finds the largest batch of a training step that fits into a GPU, on an emulated card. Gives an interval, "
        "because the CUDA context is not known. On a GPU, real steps confirm the answer without disturbing other jobs."
    ),
    spec=MaxBatchSpec,
    result=MaxBatchResult,
    run="experiments.catalog.max_batch.run:run",
    figures="experiments.catalog.max_batch.figures:draw",
    gpu=GpuUse.EXCLUSIVE,
    default_time_limit_seconds=1800,
)
