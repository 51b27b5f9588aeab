"""Parameters and result of `train-classifier`."""

from typing import Self

from pydantic import Field, model_validator

from experiments.contract import Experiment, GpuUse, Result, Spec
from experiments.datasets.inventory import DatasetName
from experiments.memory.contract import Workload
from experiments.torchvision_models import ModelName, check_image_size
from experiments.training.recipe import Optimizer, Precision, Schedule, evaluation_batch_size
from experiments.training.rows import EPOCH_METRICS, EpochRow


class TrainClassifierSpec(Spec):
    """Any torchvision classifier on any data set of the node, from random weights."""

    dataset: DatasetName = "digits"
    """A data set of the node: `digits`, `cifar10`, or the name of an image folder."""
    model: ModelName = "resnet18"
    """A torchvision classification model with random weights."""
    image_size: int = Field(default=32, ge=8, le=1024)
    """Height and width in pixels. All images are resized to it."""
    images: int | None = Field(default=None, ge=2, le=10_000_000)
    """Number of training images, drawn once without replacement. Null means all; so does a number above the total."""
    validation_images: int | None = Field(default=None, ge=1, le=10_000_000)
    """Number of test images to classify after each epoch, drawn once. Null means all, as does a number above that."""
    epochs: int = Field(default=5, ge=1, le=10_000)
    """Passes over the training images."""
    batch_size: int = Field(default=64, ge=1, le=65_536)
    """Images in one forward and backward pass."""
    gradient_accumulation_steps: int = Field(default=1, ge=1, le=1024)
    """Passes whose gradients one optimizer step averages: the effect of a larger batch in the memory of a small one."""
    optimizer: Optimizer = "adamw"
    """SGD, SGD with momentum 0.9, Adam, or AdamW."""
    learning_rate: float = Field(default=1e-3, gt=0, le=10)
    """The learning rate after the warm-up."""
    weight_decay: float = Field(default=0.0, ge=0, le=1)
    """L2 penalty for SGD and Adam, decoupled decay for AdamW."""
    schedule: Schedule = "cosine"
    """The learning rate after the warm-up: constant, a cosine to zero, or multiplied by a factor every few epochs."""
    step_epochs: int = Field(default=1, ge=1, le=10_000)
    """Epochs between two changes of the `step` schedule."""
    step_factor: float = Field(default=0.1, gt=0, le=1)
    """The factor of each change of the `step` schedule."""
    warmup_epochs: float = Field(default=0.0, ge=0, le=1000)
    """Epochs in which the learning rate rises linearly from near zero; fractions are allowed. Less than `epochs`."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """The share of each target spread evenly over all classes."""
    flip: bool = False
    """Mirror a random half of the training images left to right. Do not use it for digits or letters."""
    crop_padding: int = Field(default=0, ge=0, le=64)
    """Shift training images at random by up to this number of pixels in each direction. The gap becomes black."""
    normalize: bool = True
    """Subtract the mean of the training images from each channel, and divide by their standard deviation."""
    precision: Precision = "float32"
    """`bfloat16` and `float16` use mixed precision for the layers that support it. `float16` needs a GPU."""
    patience_epochs: int | None = Field(default=None, ge=1, le=10_000)
    """Stop after this many epochs without a better validation accuracy; null trains to the end."""
    training_accuracy: bool = False
    """Whether to classify the training images again in evaluation mode after each epoch."""
    save_weights: bool = True
    """Whether to keep the weights of the best epoch as the artifact `weights.pt`."""

    @model_validator(mode="after")
    def _fields_fit_together(self) -> Self:
        check_image_size(self.model, self.image_size)
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs must be less than epochs, {self.epochs}; it is {self.warmup_epochs:g}")
        return self


class TrainClassifierResult(Result):
    """The epochs, and how the weights of the best one classify."""

    rows: list[EpochRow]
    """One row an epoch."""
    class_names: list[str]
    """The classes, in the order of their labels."""
    parameter_count: int
    """Trainable numbers."""
    train_images: int
    """Training images."""
    validation_images: int
    """Test images classified after each epoch."""
    stopped_early: bool
    """Whether patience ran out before the last epoch."""
    best_epoch: int
    """The epoch with the highest validation accuracy, the first of equals; chosen on these images, it flatters."""
    best_validation_accuracy: float
    """Validation accuracy after the best epoch."""
    final_validation_accuracy: float
    """Validation accuracy after the last epoch."""
    confusion: list[list[int]]
    """Validation images by true class (rows) and predicted class (columns), with the weights of the best epoch."""
    class_accuracies: list[float | None]
    """Share of each class's validation images classified correctly; null for a class without images."""
    images_per_second: float
    """Training images a second of the training passes after the first epoch; of the first if there is one only."""
    memory_used_bytes: int | None
    """Bytes in use on the device after the last training pass; null without a GPU."""
    memory_reason: str | None
    """Why the memory is null; null where it is not."""


def workload(spec: TrainClassifierSpec) -> Workload:
    """The training step and the evaluation whose memory decides, for ten classes: more enlarge the last layer alone."""
    shared = spec.model_dump(include=set(Workload.model_fields))
    return Workload.model_validate(shared | {"evaluation_batch_size": evaluation_batch_size(spec.image_size)})


EXPERIMENT = Experiment(
    slug="train-classifier",
    title="Train a classifier",
    summary=(
        "Trains any torchvision model on any data set of the lab, with the usual choices of optimizer, schedule, "
        "augmentation, precision and early stopping, and keeps the best weights."
    ),
    spec=TrainClassifierSpec,
    result=TrainClassifierResult,
    run="experiments.catalog.train_classifier.run:run",
    figures="experiments.catalog.train_classifier.figures:draw",
    metrics=EPOCH_METRICS,
    workload=workload,
    gpu=GpuUse.PREFERRED,
    datasets=lambda spec: (spec.dataset,),
    default_time_limit_seconds=4 * 3600,
)
