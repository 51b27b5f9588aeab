"""Training at one batch size: what it costs in time and in memory.

Claim, for ResNet-18 with 10 classes at 224 pixels and torch 2.14.1: memory is the context + 3 x 44.7 MB (parameters,
gradients, momentum) + 22.2 MB of saved activations an image; larger batches take fewer, fuller kernels, so that a
GPU's images a second rise until it is busy. Accuracy after a fixed number of epochs mixes batch, learning rate and
number of updates.
"""

import torch

from experiments.catalog.batch_size.spec import BatchSizeResult, BatchSizeSpec, scheduled_learning_rate
from experiments.contract import Run
from experiments.datasets.loading import load
from experiments.training.fit import Fit
from experiments.training.memory import NO_GPU, parameter_bytes
from experiments.training.recipe import Recipe
from experiments.training.rows import EpochRow, images_per_second
from gpulab.schemas.memory import Prediction


def run(spec: BatchSizeSpec, run: Run) -> BatchSizeResult:
    """Train by the sheet's schedule; raises `Stopped` with a checkpoint, and `Diverged`."""
    data = load(spec.dataset, run, image_size=spec.image_size)
    generator = torch.Generator().manual_seed(run.seed)
    drawn = draw_images(len(data.train), spec.images, generator, with_replacement=spec.with_replacement)
    validation = draw_images(len(data.test), spec.validation_images, generator, with_replacement=False)
    recipe = Recipe(
        model=spec.model,
        image_size=spec.image_size,
        batch_size=spec.batch_size,
        epochs=spec.epochs,
        optimizer="sgd_momentum",
        learning_rate=spec.learning_rate or scheduled_learning_rate(spec.batch_size),
    )
    fit = Fit(recipe, len(data.class_names), data.train.take(drawn), data.test.take(validation), run)
    rows = fit.run()
    run.table("epochs", list(EpochRow.model_fields), [list(row.model_dump().values()) for row in rows])
    prediction = run.predicted()
    run.progress(1.0, "done")
    return _result(fit, rows, drawn, data.class_names, prediction)


def draw_images(available: int, wanted: int, generator: torch.Generator, *, with_replacement: bool) -> torch.Tensor:
    """Indices (int64) of the images drawn: `wanted`, or all if without replacement there are fewer."""
    if with_replacement:
        return torch.randint(available, (wanted,), generator=generator)
    return torch.randperm(available, generator=generator)[:wanted]


def _result(
    fit: Fit, rows: list[EpochRow], drawn: torch.Tensor, class_names: tuple[str, ...], prediction: Prediction | None
) -> BatchSizeResult:
    accuracies = [row.accuracy for row in rows if row.accuracy is not None]
    return BatchSizeResult(
        rows=rows,
        learning_rate=fit.recipe.learning_rate,
        distinct_images=len(set(drawn.tolist())),
        class_names=list(class_names),
        steps_per_epoch=fit.steps_per_epoch,
        final_accuracy=accuracies[-1],
        best_accuracy=max(accuracies),
        final_validation_accuracy=rows[-1].validation_accuracy,
        elapsed_seconds=rows[-1].elapsed_seconds,
        images_per_second=images_per_second(rows),
        parameter_bytes=parameter_bytes(fit.model),
        saved_activation_bytes_per_image=fit.saved_activation_bytes_per_image or 0.0,
        memory_used_bytes=rows[-1].memory_used_bytes,
        memory_reason=None if rows[-1].memory_used_bytes is not None else NO_GPU,
        prediction=prediction,
    )
