"""Parameters and findings of `edge-bands`: one network on whole images of horizontal, vertical or no band."""

from itertools import pairwise
from typing import Literal

from pydantic import Field, model_validator

from experiments.contract import Experiment, GpuUse, Metric, Result, Spec

IMAGE_SIZE = 28
CLASS_NAMES = ("horizontal", "vertical", "none", "diagonal", "both")
CHANNELS = 3
HIDDEN_UNITS = (50, 10)
MAX_KERNEL_SIZE = 27
"""Reflection can add at most 13 pixels to the 14 x 14 maps of the second convolution."""
MAX_IMAGES_PER_STEP = 2048
MAX_IMAGES = 50_000
"""Of all replicas and both sets: they are held in memory at once."""
MAX_KERNELS = 8
"""Replicas whose kernels a result keeps."""


class EdgeBandsSpec(Spec):
    """One network, its data and its training. `replicas` independent seeds train at the same time."""

    model: Literal["cnn", "mlp", "edge_frozen"] = "cnn"
    """Two convolutions with a global average, a dense network, or the convolutions fixed to edge detectors."""
    geometry: Literal["exact", "original"] = "exact"
    """`exact`: all bands lie inside the image. `original`: as in the first homework, some images stay empty."""
    classes: Literal[3, 5] = 3
    """3: horizontal, vertical, none. 5: also a diagonal band and two crossing bands."""
    kernel_size: int = Field(default=7, ge=3, le=MAX_KERNEL_SIZE)
    """Side of the kernels of both convolutions, in pixels; odd."""
    pooling: Literal["max", "average"] = "max"
    """How 2 x 2 pixels become one between the convolutions."""
    images_per_class: int = Field(default=10, ge=1, le=1000)
    """Training images of each class. With the same seed, a larger set contains the smaller one."""
    validation_images_per_class: int = Field(default=50, ge=1, le=1000)
    """Validation images of each class, drawn apart from the training images."""
    epochs: int = Field(default=400, ge=1, le=5000)
    """Passes over the training images."""
    batch_size: int = Field(default=10, ge=1, le=256)
    """Images in one optimizer step; the last batch of an epoch may be smaller."""
    learning_rate: float = Field(default=0.01, gt=0, le=10)
    """Step size of stochastic gradient descent."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Share of the last update that the next one keeps."""
    domain_shift: bool = False
    """Train on bands in the upper or left half, validate on the other half."""
    permute_pixels: bool = False
    """Shuffle the pixels of every image by one permutation, fixed for each seed."""
    replicas: int = Field(default=1, ge=1, le=32)
    """Independent seeds trained at once: the run's seed, the next one, and so on."""
    curve_points: int = Field(default=30, ge=1, le=100)
    """Number of evaluations of both sets, evenly spread over the epochs. One more comes before the first epoch."""

    @model_validator(mode="after")
    def _combinations_make_sense(self) -> "EdgeBandsSpec":
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, so that the kernel has a centre: got {self.kernel_size}")
        if self.domain_shift and self.classes != len(CLASS_NAMES[:3]):
            raise ValueError(f"domain_shift is defined for classes = 3: got {self.classes}")
        if self.replicas * self.batch_size > MAX_IMAGES_PER_STEP:
            raise ValueError(
                f"replicas * batch_size must be at most {MAX_IMAGES_PER_STEP}: got {self.replicas * self.batch_size}"
            )
        if self.images > MAX_IMAGES:
            raise ValueError(
                f"replicas * classes * (images_per_class + validation_images_per_class) must be at most {MAX_IMAGES}: "
                f"got {self.images}"
            )
        return self

    @property
    def class_names(self) -> tuple[str, ...]:
        return CLASS_NAMES[: self.classes]

    @property
    def images(self) -> int:
        """Of all replicas, training and validation."""
        return self.replicas * self.classes * (self.images_per_class + self.validation_images_per_class)

    @property
    def parameters(self) -> int:
        """Weights and biases of the network, frozen ones included."""
        if self.model == "mlp":
            sizes = (IMAGE_SIZE**2, *HIDDEN_UNITS, self.classes)
            return sum(a * b + b for a, b in pairwise(sizes))
        convolutions = sum(CHANNELS * inputs * self.kernel_size**2 + CHANNELS for inputs in (1, CHANNELS))
        return convolutions + self.classifier_parameters

    @property
    def trainable_parameters(self) -> int:
        return self.classifier_parameters if self.model == "edge_frozen" else self.parameters

    @property
    def classifier_parameters(self) -> int:
        """Of the linear layer after the global average of a convolutional network."""
        return CHANNELS * self.classes + self.classes

    @property
    def blank_rate(self) -> float:
        """Probability that a validation image of a class with a band shows none."""
        if self.geometry == "exact":
            return 0.0
        return 1 / 14 if self.domain_shift else 1 / 27

    @property
    def bayes_limit(self) -> float:
        """Highest expected validation accuracy: a blank image is best called `none`, which is wrong for the rest."""
        return 1 - self.blank_rate * (self.classes - 1) / self.classes


class ReplicaResult(Result):
    """What one seed's network came to. Losses are cross-entropy in nats, means per image."""

    seed: int
    """Seed of this replica's images, first weights and order."""
    train_accuracy: float
    """Share of the training images classified correctly after the last epoch."""
    validation_accuracy: float
    """Share of the validation images classified correctly after the last epoch."""
    train_loss: float
    """Loss on the training images after the last epoch."""
    validation_loss: float
    """Loss on the validation images after the last epoch."""
    epochs_to_90_percent: int | None
    """First evaluated epoch with a validation accuracy of at least 0.90; null where none has."""
    epochs_to_95_percent: int | None
    """First evaluated epoch with a validation accuracy of at least 0.95; null where none has."""
    collapsed: bool
    """Whether every training image is given the same class, so that accuracy is chance on balanced classes."""
    dead_features: int
    """Units before the last layer that are zero for every training image; when all are, no gradient can wake them."""
    confusion: list[list[int]]
    """Validation images by true class (rows) and predicted class (columns)."""
    train_blank_share: float
    """Share of the training images of a class with a band that show none."""
    validation_blank_share: float
    """Share of the validation images of a class with a band that show none."""
    kernels_before: list[list[list[float]]] | None
    """The first convolution's three kernels before training; null for a dense network and beyond the eighth replica."""
    kernels_after: list[list[list[float]]] | None
    """The same after training."""
    train_accuracies: list[float]
    """Training accuracy at each of the result's `epochs`."""
    validation_accuracies: list[float]
    """Validation accuracy at each of the result's `epochs`."""
    train_losses: list[float]
    """Training loss at each of the result's `epochs`."""
    validation_losses: list[float]
    """Validation loss at each of the result's `epochs`."""


class EdgeBandsResult(Result):
    """All replicas, and their mean and standard deviation (n - 1; null for a single replica)."""

    replicas: list[ReplicaResult]
    """One entry a seed, in order."""
    epochs: list[int]
    """Epochs after which both sets were evaluated; 0 is before training."""
    train_accuracy_mean: float
    """Mean over the replicas."""
    train_accuracy_sd: float | None
    """Standard deviation over the replicas."""
    validation_accuracy_mean: float
    """Mean over the replicas."""
    validation_accuracy_sd: float | None
    """Standard deviation over the replicas."""
    collapsed_replicas: int
    """How many replicas give every training image the same class."""
    bayes_limit: float
    """Validation accuracy no network can exceed on average, because blank images carry a band's label."""
    parameters: int
    """Weights and biases of one network."""
    trainable_parameters: int
    """Those that training may change."""


EXPERIMENT = Experiment(
    slug="edge-bands",
    title="Inductive bias of convolutions",
    summary=(
        "Tells horizontal from vertical bands with few images: a CNN of 606 parameters, a dense network of 39,793, and "
        "fixed edge detectors, under domain shift, shuffled pixels and two kinds of pooling."
    ),
    spec=EdgeBandsSpec,
    result=EdgeBandsResult,
    run="homework.experiments.edge_bands.run:run",
    figures="homework.experiments.edge_bands.figures:draw",
    metrics=(
        Metric("train_loss", "nats", "min", "Cross-entropy a training image, mean over the replicas"),
        Metric("validation_loss", "nats", "min", "Cross-entropy a validation image, mean over the replicas"),
        Metric("train_accuracy", "1", "max", "Share of training images classified correctly, mean over the replicas"),
        Metric(
            "validation_accuracy", "1", "max", "Share of validation images classified correctly, mean over the replicas"
        ),
        Metric("validation_accuracy_lowest", "1", "max", "The worst replica's validation accuracy"),
        Metric("validation_accuracy_highest", "1", "max", "The best replica's validation accuracy"),
    ),
    # Steps of a few hundred parameters wait for kernel launches on a GPU; a CPU core is as quick and repeats exactly.
    gpu=GpuUse.NONE,
    default_time_limit_seconds=1800,
)
