"""Parameters and result of `dropout-cheating`."""

from typing import Literal

from pydantic import Field

from experiments.contract import Experiment, GpuUse, Metric, Result, Spec

CLASSES = 10


class DropoutCheatingSpec(Spec):
    """A small convolutional network on images that carry their label. Homework: `cifar10` with dropout 0 and 0.75."""

    dataset: Literal["digits", "cifar10"] = "digits"
    """`cifar10`, or `digits` scaled to 32x32 pixels and three channels. Every node has `digits`."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """The probability of dropping a unit after each of the two convolution blocks."""
    relu_on_logits: bool = True
    """Whether the logits pass a ReLU, as in the homework. A ReLU can switch off a class permanently."""
    epochs: int = Field(default=10, ge=1, le=200)
    """Passes over the training images."""
    images: int | None = Field(default=None, ge=64, le=50_000)
    """Number of training images, drawn without replacement. Null means all; so does a number above the total."""
    test_images: int | None = Field(default=None, ge=10, le=10_000)
    """Number of test images, drawn without replacement. Null means all; so does a number above the total."""
    batch_size: int = Field(default=64, ge=1, le=4096)
    """Images in one optimizer step."""
    learning_rate: float = Field(default=3e-3, gt=0, le=10)
    """The learning rate of plain SGD."""
    target_cheat_accuracy: float = Field(default=0.85, gt=0.1, le=1)
    """The result also has the clean accuracy at the first epoch whose accuracy with the code reaches this value."""


class CheatingEpoch(Result):
    """One epoch, as the sheet logs it, with dropout off in all tests."""

    epoch: int
    """The epoch, counted from 1."""
    train_loss: float
    """Cross-entropy averaged over the last 100 batches, dropout on."""
    validation_loss: float
    """Cross-entropy on the test images with the code."""
    cheat_accuracy: float
    """Share of the test images with the code that are classified correctly."""
    clean_accuracy: float
    """Share of the test images without the code that are classified correctly."""
    dead_classes: int
    """Classes whose logit is 0 for every test image, with and without the code; 0 without the ReLU."""
    seconds: float
    """Seconds of the epoch's training pass."""


class Sample(Result):
    """A training image with its code."""

    label: int
    """Its class."""
    pixels: list[list[list[int]]]
    """Colours 0 to 255 as rows x columns x (red, green, blue), the normalisation undone and cut off at the ends."""


class DropoutCheatingResult(Result):
    """How much of what the net knows is the code."""

    parameter_count: int
    """Trainable numbers."""
    class_names: list[str]
    """The classes, in the order of their labels."""
    train_images: int
    """Training images."""
    test_images: int
    """Test images."""
    epochs: list[CheatingEpoch]
    """One row an epoch."""
    clean_accuracy: float
    """Accuracy on images without the code after the last epoch."""
    cheat_accuracy: float
    """Accuracy on images with the code after the last epoch."""
    dead_classes: list[int]
    """Classes whose logit is 0 for every test image after the last epoch."""
    epoch_at_target: int | None
    """The first epoch whose accuracy with the code reached the target; null if none did."""
    clean_accuracy_at_target: float | None
    """Accuracy without the code at that epoch, to compare nets that know the code equally well; null if none did."""
    samples: list[Sample]
    """Five training images as the net sees them."""


EXPERIMENT = Experiment(
    slug="dropout-cheating",
    title="Dropout against a cheating feature",
    summary=(
        "Every image carries its label as four coloured pixels. Without dropout the net reads only those and is lost "
        "without them; with dropout the code is an unreliable route and the image gets used too."
    ),
    spec=DropoutCheatingSpec,
    result=DropoutCheatingResult,
    run="homework.experiments.dropout_cheating.run:run",
    figures="homework.experiments.dropout_cheating.figures:draw",
    metrics=(
        Metric("loss", direction="min", description="Cross-entropy of the step's batch, dropout on"),
        Metric("epoch", description="Epochs completed"),
        Metric("train_loss", direction="min", description="Mean of the epoch's last 100 batches"),
        Metric("validation_loss", direction="min", description="Cross-entropy on test images with the code"),
        Metric("cheat_accuracy", direction="max", description="Accuracy on test images with the code"),
        Metric("clean_accuracy", direction="max", description="Accuracy on test images without the code"),
        Metric("dead_classes", direction="min", description="Classes whose logit is 0 for every test image"),
    ),
    gpu=GpuUse.PREFERRED,
    datasets=lambda spec: (spec.dataset,),
    default_time_limit_seconds=3600,
)
