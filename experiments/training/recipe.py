"""How to train, as plain values, and the learning rate it gives at each step. No torch here."""

import math
from dataclasses import dataclass
from typing import Literal

Optimizer = Literal["sgd", "sgd_momentum", "adam", "adamw"]
Schedule = Literal["constant", "cosine", "step"]
Precision = Literal["float32", "bfloat16", "float16"]
EVALUATION_BATCH_SIZE = 256
EVALUATION_BATCH_PIXELS = 64 * 224 * 224


def evaluation_batch_size(image_size: int) -> int:
    """Images classified at once after an epoch, bounded in pixels."""
    return max(1, min(EVALUATION_BATCH_SIZE, EVALUATION_BATCH_PIXELS // image_size**2))


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides the weights, beside the data and the seed."""

    model: str
    image_size: int
    batch_size: int
    epochs: int
    optimizer: Optimizer
    learning_rate: float
    weight_decay: float = 0.0
    schedule: Schedule = "constant"
    step_epochs: int = 1
    step_factor: float = 1.0
    warmup_epochs: float = 0.0
    label_smoothing: float = 0.0
    gradient_accumulation_steps: int = 1
    precision: Precision = "float32"
    flip: bool = False
    crop_padding: int = 0
    normalize: bool = False
    training_accuracy: bool = True
    """Whether to classify the training images again after each epoch."""
    patience_epochs: int | None = None
    """Stop after this number of epochs without a better validation accuracy."""
    keep_best_weights: bool = False
    """Whether to keep a copy of the weights of the epoch with the best validation accuracy."""

    def learning_rate_at(self, step: int, steps_per_epoch: int) -> float:
        """The rate of optimizer step `step`, counted from 0.

        A linear warm-up over `warmup_epochs`; then constant, or a cosine to zero (Loshchilov, Hutter, ICLR 2017,
        without restarts), or a factor every `step_epochs` epochs.
        """
        warmup = round(self.warmup_epochs * steps_per_epoch)
        if step < warmup:
            return self.learning_rate * (step + 1) / warmup
        match self.schedule:
            case "cosine":
                done = (step - warmup) / max(1, self.epochs * steps_per_epoch - warmup)
                return self.learning_rate * (1 + math.cos(math.pi * done)) / 2
            case "step":
                return self.learning_rate * float(self.step_factor ** (step // (steps_per_epoch * self.step_epochs)))
            case "constant":
                return self.learning_rate
