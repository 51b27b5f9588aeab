"""Parameters and result of `model-memory`."""

from typing import Literal, Self

from pydantic import Field, model_validator

from experiments.contract import Experiment, GpuUse, Metric, Result, Spec
from experiments.memory.contract import Implementation, Workload
from experiments.torchvision_models import ModelName, check_image_size
from experiments.training.recipe import Precision
from gpulab.schemas.memory import Prediction

Moment = Literal["after_model", "after_backward", "after_step", "after_second_step"]


class ModelMemorySpec(Spec):
    """A model, an optimizer and a batch of random images. The defaults are the homework's ResNet-152."""

    model: ModelName = "resnet152"
    """A torchvision classification model with random weights. Nothing is downloaded."""
    num_classes: int = Field(default=10, ge=2, le=100_000)
    """The number of classes, which sets the size of the last layer."""
    image_size: int = Field(default=224, ge=1, le=1024)
    """Height and width of the images in pixels."""
    batch_size: int = Field(default=8, ge=1, le=4096)
    """Images in each of the two steps."""
    optimizer: Literal["sgd", "sgd_momentum", "adam", "adamw"] = "sgd"
    """The optimizer. Its state takes 0, 1, 2 or 2 times the bytes of the parameters, in the order of the choices."""
    implementation: Implementation | None = None
    """How the optimizer computes its step: one tensor after the other (`for_loop`), many together with temporary copies
    (`foreach`), or in one kernel without copies (`fused`). Null lets torch choose."""
    precision: Precision = "float32"
    """`bfloat16` and `float16` use mixed precision for the layers that support it."""
    gradient_accumulation_steps: int = Field(default=1, ge=1, le=64)
    """Forward and backward passes before each of the two optimizer steps."""
    checkpointing: bool = False
    """Whether the blocks of the model's outermost stages keep only their inputs and recompute the rest."""
    channels_last: bool = False
    """Whether model and images use the memory format channels-last."""

    @model_validator(mode="after")
    def _image_size_suits_the_model(self) -> Self:
        check_image_size(self.model, self.image_size)
        return self


class MemoryReading(Result):
    """The memory at one moment. What only a GPU has is null without one, and `reason` says so."""

    moment: Moment
    """When: with the model in place, after the first backward pass, after the first step, after a whole second step."""
    allocated_bytes: int | None
    """Bytes of live tensors on the GPU, as torch's caching allocator counts them."""
    peak_allocated_bytes: int | None
    """The most that was allocated since the moment before."""
    reserved_bytes: int | None
    """Bytes that the caching allocator holds, free blocks included."""
    device_used_bytes: int | None
    """Bytes in use on the whole device: CUDA context, libraries, everything reserved, other processes."""
    host_rss_bytes: int
    """Resident memory of the process on the host."""
    parameter_bytes: int
    """Bytes of the parameters."""
    gradient_bytes: int
    """Bytes of the gradients that exist."""
    optimizer_state_bytes: int
    """Bytes of the optimizer's state that exists; the first step creates it."""
    reason: str | None
    """Why fields are null; null where none is."""


class ModelMemoryResult(Result):
    """Exact bytes by cause, and readings at four moments of two steps."""

    parameter_count: int
    """Trainable numbers."""
    parameter_bytes: int
    """Bytes of the parameters."""
    gradient_bytes: int
    """Bytes of the gradients after a backward pass."""
    optimizer_state_bytes: int
    """Bytes of momentum or moments, without the step counters."""
    optimizer_step_counter_bytes: int
    """Bytes of the optimizer's step counters, one number a parameter tensor; torch keeps them on the CPU."""
    buffer_bytes: int
    """Bytes of the buffers, such as batch norm's running statistics."""
    saved_activation_bytes: int
    """Bytes of the distinct tensors that one forward pass saves for backward, the input included."""
    context_bytes: int | None
    """Bytes in use on the device with a CUDA context and no model, other processes included; null without a GPU."""
    overhead_bytes: int | None
    """Bytes in use on the device with the model in place, less the model's own: the sheet's definition of overhead."""
    readings: list[MemoryReading]
    """The four moments, in order of time."""
    prediction: Prediction | None
    """What a GPU was predicted to show of the same two steps; null where nothing is predicted."""


def workload(spec: ModelMemorySpec) -> Workload:
    """The training step whose memory is measured."""
    return Workload.model_validate(spec.model_dump())


EXPERIMENT = Experiment(
    slug="model-memory",
    title="Memory of a model and its optimizer",
    summary=(
        "Counts the memory of parameters, gradients, optimizer state and activations. Shows what the allocator and "
        "the device show after the model, the backward pass, the first step and a second step."
    ),
    spec=ModelMemorySpec,
    result=ModelMemoryResult,
    run="experiments.catalog.model_memory.run:run",
    figures="experiments.catalog.model_memory.figures:draw",
    metrics=(Metric("loss", direction="min", description="Cross-entropy of the step's random batch"),),
    workload=workload,
    gpu=GpuUse.EXCLUSIVE,
    default_time_limit_seconds=1800,
)
