"""What is asked of the estimator and what it answers. No torch here. All sizes are bytes."""

from datetime import datetime
from typing import Literal, Self

from pydantic import Field, model_validator

from experiments.contract import Result, Spec
from experiments.torchvision_models import ModelName, check_image_size
from experiments.training.recipe import Optimizer, Precision

Implementation = Literal["for_loop", "foreach", "fused"]
Device = Literal["cuda", "cpu"]


class Workload(Spec):
    """All of a training run that decides its memory: a model, a batch, an optimizer and how they are used."""

    model: ModelName
    """A torchvision classification model."""
    num_classes: int = Field(default=10, ge=1, le=100_000)
    """The number of classes, which sets the size of the last layer."""
    image_size: int = Field(default=224, ge=1, le=1024)
    """Height and width of the pictures in pixels."""
    batch_size: int = Field(default=8, ge=1, le=65_536)
    """Pictures in one forward and backward pass."""
    gradient_accumulation_steps: int = Field(default=1, ge=1, le=1024)
    """Passes before each optimizer step."""
    optimizer: Optimizer = "sgd"
    """SGD, SGD with momentum 0.9, Adam, or AdamW."""
    implementation: Implementation | None = None
    """How the optimizer's step is computed; null for torch's choice: `foreach` on a GPU, `for_loop` on a CPU."""
    weight_decay: float = Field(default=0.0, ge=0, le=1)
    """A penalty of the gradient, unlike AdamW's, makes a copy of the gradients."""
    precision: Precision = "float32"
    """`bfloat16` and `float16` run the layers that can in mixed precision."""
    channels_last: bool = False
    """Whether model and pictures are laid out with channels last."""
    checkpointing: bool = False
    """Whether the blocks of the model's outermost stages keep only their inputs and compute the rest again."""
    set_to_none: bool = True
    """Whether `zero_grad` frees the gradients, torch's default, or fills them with zeros."""
    evaluation_batch_size: int | None = Field(default=None, ge=1, le=65_536)
    """Pictures in a forward pass without gradients after the second step; null for no such pass."""

    @model_validator(mode="after")
    def _image_size_suits_the_model(self) -> Self:
        check_image_size(self.model, self.image_size)
        return self


class Interval(Result):
    """Where a number lies that cannot be known from here."""

    low_bytes: int
    """The least to expect."""
    likely_bytes: int
    """The best guess."""
    high_bytes: int
    """The most to expect."""

    def plus(self, size_bytes: int) -> "Interval":
        """This interval moved up."""
        return Interval(
            low_bytes=self.low_bytes + size_bytes,
            likely_bytes=self.likely_bytes + size_bytes,
            high_bytes=self.high_bytes + size_bytes,
        )

    def add(self, other: "Interval") -> "Interval":
        """The sum with another interval, ends with ends."""
        return Interval(
            low_bytes=self.low_bytes + other.low_bytes,
            likely_bytes=self.likely_bytes + other.likely_bytes,
            high_bytes=self.high_bytes + other.high_bytes,
        )


class Constants(Result):
    """What a process takes of a GPU besides its tensors, as a node measured it; docs/gpu-memory.md tells how.

    It holds for one GPU model under one driver, CUDA version and torch, which are named beside it.
    """

    gpu: str
    """What the driver calls the device."""
    driver_version: str | None
    cuda_version: str | None
    """The newest that the driver runs."""
    torch_version: str
    context_bytes: int
    """A context and torch's first kernel."""
    libraries_bytes: int
    """What cuBLAS, cuDNN and the kernels of a small training step add to it outside the allocator."""
    cublas_workspace_bytes: int
    """What cuBLAS takes through the allocator and keeps."""
    convolution_workspace_bytes: int
    """The most scratch memory that one of a few common convolutions took."""
    measured_at: datetime

    @property
    def provenance(self) -> str:
        """What the numbers hold for, besides the GPU model."""
        return provenance(self.driver_version, self.cuda_version, self.torch_version)


def provenance(driver_version: str | None, cuda_version: str | None, torch_version: str) -> str:
    """The software that decides what a context takes, in words that serve as a key."""
    return f"driver {driver_version}, CUDA {cuda_version}, torch {torch_version}"


class Split(Result):
    """What the bytes in use on the device are for when most are allocated; they add up to `peak_device_bytes`."""

    parameters_bytes: int
    """The model's parameters."""
    buffers_bytes: int
    """The model's buffers, such as batch norm's running statistics."""
    batch_bytes: int
    """Pictures and labels."""
    gradients_bytes: int
    """Gradients of parameters."""
    optimizer_state_bytes: int
    """Momentum or moments, and step counters that live on the device."""
    activations_bytes: int
    """What the forward pass made and backward still needs, outputs included."""
    temporary_bytes: int
    """Gradients of activations, and what an operation or an optimizer's step makes and drops."""
    workspace_bytes: int
    """What cuBLAS takes through the allocator and keeps."""
    rounding_bytes: int
    """The allocator's rounding of requests to blocks."""
    fragmentation_bytes: int
    """Reserved and not allocated at the peak: free blocks between live ones, and blocks kept from before."""
    convolution_workspace: Interval
    """Scratch memory of cuDNN's convolutions, which its heuristics choose on the device."""
    context: Interval
    """The CUDA context with the loaded libraries, outside the allocator."""


class PhaseLevel(Result):
    """The allocator during one phase of the two steps."""

    phase: str
    """`model`, `batch`, `zero_grad`, `forward`, `backward`, `step`, `second_zero_grad`, ..., `evaluation`."""
    allocated_bytes: int
    """Allocated when the phase ends."""
    peak_allocated_bytes: int
    """The most allocated within the phase."""
    reserved_bytes: int
    """Reserved when the phase ends."""


class Estimate(Result):
    """The predicted memory of two training steps; the optimizer's state exists from the first one's end."""

    workload: Workload
    """What was asked."""
    gpu: str | None
    """The GPU model whose constants were used; null for a typical one."""
    torch_version: str
    """The torch whose operations were traced."""
    peak_tensor_bytes: int
    """The most bytes of live tensors, without any allocator."""
    peak_allocated_bytes: int
    """What `torch.cuda.max_memory_allocated` will show, without the convolutions' workspace."""
    peak_reserved_bytes: int
    """What `torch.cuda.max_memory_reserved` will show, without the convolutions' workspace."""
    peak_device: Interval
    """What the device will show in use: reserved, the convolutions' workspace, and the context."""
    peak_phase: str
    """The phase of the peak."""
    split: Split
    """What it is made of."""
    phases: list[PhaseLevel]
    """The allocator phase by phase."""
    trace_seconds: float
    """What the prediction took."""


class Prediction(Result):
    """Of an estimate, what a run is compared with."""

    peak_allocated_bytes: int
    """What the caching allocator will show as its peak of live tensors."""
    peak_reserved_bytes: int
    """What it will hold, free blocks included."""
    peak_device: Interval
    """What the device will show in use."""
    phases: list[PhaseLevel]
    """The allocator phase by phase."""

    @classmethod
    def of(cls, found: Estimate) -> Self:
        """The part of an estimate."""
        return cls(**{name: getattr(found, name) for name in cls.model_fields})

    def levels(self) -> dict[str, int]:
        """As plain numbers, for the run's record."""
        return {
            "allocated_bytes": self.peak_allocated_bytes,
            "reserved_bytes": self.peak_reserved_bytes,
            "device_low_bytes": self.peak_device.low_bytes,
            "device_likely_bytes": self.peak_device.likely_bytes,
            "device_high_bytes": self.peak_device.high_bytes,
        }


class Edit(Result):
    """A change of the workload that makes it fit, or comes nearest."""

    change: dict[str, str | int | bool]
    """The fields to change and their new values."""
    reason: str
    """What it saves, and at what price."""
    peak_device: Interval
    """The prediction with the change."""
    fits: bool
    """Whether it then fits."""


class Fit(Result):
    """Whether a workload fits into a GPU, by its prediction."""

    verdict: Literal["fits", "fits_up_to", "cannot_fit"]
    """`fits_up_to`: not at this batch size, but at a smaller one. `cannot_fit`: not even with one picture."""
    certain: bool
    """Whether the whole interval lies on the verdict's side."""
    total_bytes: int
    """The memory of the GPU."""
    estimate: Estimate
    """The prediction."""
    largest_batch_size: int | None
    """The largest batch that fits; null where none does."""
    edits: list[Edit]
    """Up to three changes that make it fit; empty where it fits."""
