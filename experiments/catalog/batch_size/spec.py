"""Parameters and result of `batch-size`."""

from typing import Self

from pydantic import Field, model_validator

from experiments.contract import Experiment, GpuUse, Result, Spec
from experiments.datasets.inventory import DatasetName
from experiments.memory.contract import Workload
from experiments.torchvision_models import ModelName, check_image_size
from experiments.training.recipe import evaluation_batch_size
from experiments.training.rows import EPOCH_METRICS, EpochRow
from gpulab.schemas.memory import Prediction

LEARNING_RATE_PER_IMAGE = 2.5e-5
MAX_LEARNING_RATE = 6.4e-3


def scheduled_learning_rate(batch_size: int) -> float:
    """The sheet's rate: 1e-4 at batch 4, linear in the batch size (Goyal et al., 2017), at most 6.4e-3."""
    return min(LEARNING_RATE_PER_IMAGE * batch_size, MAX_LEARNING_RATE)


class BatchSizeSpec(Spec):
    """A training run at one batch size. The homework uses `cifar10` at 224 pixels; the defaults run on any node."""

    dataset: DatasetName = "digits"
    """A data set of the node: `digits`, `cifar10`, or the name of an image folder."""
    model: ModelName = "resnet18"
    """A torchvision classification model with random weights."""
    batch_size: int = Field(default=16, ge=1, le=4096)
    """Images in one optimizer step."""
    epochs: int = Field(default=10, ge=1, le=1000)
    """Passes over the drawn images."""
    images: int = Field(default=4096, ge=2, le=1_000_000)
    """Number of training images, drawn once before the first epoch. Without replacement, at most the whole data set."""
    with_replacement: bool = True
    """Whether an image can be drawn more than once. Of 4,096 images drawn from 50,000, about 3,933 are distinct."""
    image_size: int = Field(default=32, ge=8, le=1024)
    """Height and width in pixels. All images are resized to it."""
    learning_rate: float | None = Field(default=None, gt=0, le=10)
    """The learning rate. Null means 2.5e-5 times the batch size, at most 6.4e-3."""
    validation_images: int = Field(default=1000, ge=1, le=1_000_000)
    """Number of test images to classify after each epoch, drawn once. If the data set has fewer, all of them."""

    @model_validator(mode="after")
    def _image_size_suits_the_model(self) -> Self:
        check_image_size(self.model, self.image_size)
        return self


class BatchSizeResult(Result):
    """The epochs, and what the memory consists of."""

    rows: list[EpochRow]
    """One row an epoch."""
    learning_rate: float
    """The learning rate used."""
    distinct_images: int
    """How many different images were drawn."""
    class_names: list[str]
    """The classes, in the order of their labels."""
    steps_per_epoch: int
    """Optimizer steps in an epoch."""
    final_accuracy: float
    """Training accuracy after the last epoch, in evaluation mode."""
    best_accuracy: float
    """The highest training accuracy after any epoch."""
    final_validation_accuracy: float
    """Validation accuracy after the last epoch."""
    elapsed_seconds: float
    """Seconds from the end of epoch 1 to the end of the last."""
    images_per_second: float
    """Training images a second of the training passes after the first epoch; of the first if there is one only."""
    parameter_bytes: int
    """Bytes of the parameters; gradients and momentum take as many each."""
    saved_activation_bytes_per_image: float
    """Bytes that a forward pass saves for backward, by image."""
    memory_used_bytes: int | None
    """Bytes in use on the device after the last training pass; null without a GPU."""
    memory_reason: str | None
    """Why the memory is null; null where it is not."""
    prediction: Prediction | None
    """What a GPU was predicted to show of such steps and evaluations; null where nothing is predicted."""


def workload(spec: BatchSizeSpec) -> Workload:
    """The training step and the evaluation whose memory decides; all data sets of the course have ten classes."""
    return Workload(
        model=spec.model,
        image_size=spec.image_size,
        batch_size=spec.batch_size,
        optimizer="sgd_momentum",
        evaluation_batch_size=min(evaluation_batch_size(spec.image_size), max(spec.images, spec.validation_images)),
    )


EXPERIMENT = Experiment(
    slug="batch-size",
    title="Batch size, speed and memory",
    summary=(
        "Trains a classifier at one batch size, with a learning rate that grows with it. Shows accuracy over time, "
        "images per second, and GPU memory, which grows with the batch."
    ),
    spec=BatchSizeSpec,
    result=BatchSizeResult,
    run="experiments.catalog.batch_size.run:run",
    figures="experiments.catalog.batch_size.figures:draw",
    metrics=EPOCH_METRICS,
    workload=workload,
    gpu=GpuUse.EXCLUSIVE,
    datasets=lambda spec: (spec.dataset,),
    default_time_limit_seconds=3 * 3600,
)
