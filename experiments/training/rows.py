"""What a training run reports after every epoch. No torch here: result types import it."""

from collections.abc import Sequence

from experiments.contract import Metric, Result


class EpochRow(Result):
    """One epoch of training."""

    timestamp: float
    """Unix time in seconds after the epoch's passes over the training images, before the validation pass."""
    epoch: int
    """The epoch, counted from 1."""
    steps: int
    """Optimizer steps taken since the start."""
    learning_rate: float
    """The learning rate of the epoch's last step."""
    memory_used_bytes: int | None
    """Bytes in use on the whole device after the training pass, before any evaluation; null without a GPU."""
    peak_allocated_bytes: int | None
    """The most bytes the epoch's training pass had allocated; null without a GPU."""
    reserved_bytes: int | None
    """Bytes the caching allocator holds after the training pass; null without a GPU."""
    host_rss_bytes: int
    """Resident memory of the process on the host after the training pass."""
    loss: float
    """Loss of the epoch's last minibatch: very noisy for small batches."""
    mean_loss: float
    """Loss averaged over the epoch's training images, while the weights change."""
    running_accuracy: float
    """Share of the training images classified correctly in training mode, while the weights change."""
    accuracy: float | None
    """Share of the training images classified correctly in evaluation mode after the epoch; null if not requested."""
    validation_loss: float
    """Cross-entropy on the validation images."""
    validation_accuracy: float
    """Share of the validation images classified correctly."""
    images_per_second: float
    """Training images over the seconds of the training pass alone."""
    train_seconds: float
    """Seconds of the training pass."""
    epoch_seconds: float
    """Seconds of the training pass and of the evaluation on the training images."""
    elapsed_seconds: float
    """Seconds of the epochs after the first, so 0 at the end of epoch 1; pauses and validation do not count."""


EPOCH_METRICS = (
    Metric("loss", direction="min", description="Cross-entropy of the step's minibatch"),
    Metric("epoch", description="Epochs completed"),
    Metric("mean_loss", direction="min", description="Loss averaged over the epoch's training images"),
    Metric("running_accuracy", direction="max", description="Training accuracy in training mode over the epoch"),
    Metric("accuracy", direction="max", description="Training accuracy in evaluation mode after the epoch"),
    Metric("validation_loss", direction="min", description="Cross-entropy on the validation images"),
    Metric("validation_accuracy", direction="max", description="Accuracy on the validation images"),
    Metric("learning_rate", description="Learning rate of the epoch's last step"),
    Metric("images_per_second", "1/s", "max", "Training images a second of the training pass"),
    Metric("memory_used_bytes", "B", "min", "Bytes in use on the device after the training pass"),
    Metric("host_rss_bytes", "B", "min", "Resident memory of the process on the host"),
)
"""What `fit` records: the loss at every step, the others at the end of every epoch."""
EPOCH_METRIC_NAMES = tuple(metric.name for metric in EPOCH_METRICS if metric.name != "loss")


def images_per_second(rows: Sequence[EpochRow]) -> float:
    """Training images a second of the training passes after the first epoch, which warms up; of it if it is alone."""
    timed = rows[1:] or rows
    images = sum(row.images_per_second * row.train_seconds for row in timed)
    return images / sum(row.train_seconds for row in timed)
