"""Train one kind of network on bands, several seeds at once, and say what each came to."""

import statistics
from collections.abc import Sequence

import torch

from experiments.contract import Run
from homework.experiments.edge_bands.data import draw_images
from homework.experiments.edge_bands.models import StackedNetwork, stacked_network
from homework.experiments.edge_bands.spec import MAX_KERNELS, EdgeBandsResult, EdgeBandsSpec, ReplicaResult
from homework.experiments.edge_bands.training import PreparedSet, Progress, dead_features, predict, train

DECIMALS = 6
"""Digits of kernels and curves in a result: more than a figure shows, and still small for many replicas."""


def run(spec: EdgeBandsSpec, run: Run) -> EdgeBandsResult:
    """Draw the images, train, and report. Replica r is what a run of seed + r with one replica finds."""
    seeds = range(run.seed, run.seed + spec.replicas)
    run.phase("data")
    train_images = [draw_images(spec, seed, "train") for seed in seeds]
    validation_images = [draw_images(spec, seed, "validation") for seed in seeds]
    run.phase("model")
    network = stacked_network(spec, seeds)
    before = _kernels(network, spec.replicas)
    sets = {
        "train": PreparedSet.of(network, train_images),
        "validation": PreparedSet.of(network, validation_images),
    }
    run.phase("training")
    progress = train(spec, run, seeds, network, sets)
    run.phase("evaluation")
    after = _kernels(network, spec.replicas)
    predicted = predict(network, sets["train"]).argmax(2)
    collapsed = (predicted == predicted[:, :1]).all(1).tolist()
    dead = dead_features(network, sets["train"]).tolist()
    confusions = _confusions(spec, network, sets["validation"])
    replicas = [
        ReplicaResult(
            seed=seed,
            collapsed=collapsed[index],
            dead_features=dead[index],
            confusion=confusions[index],
            train_blank_share=train_images[index].blank_share,
            validation_blank_share=validation_images[index].blank_share,
            kernels_before=before[index],
            kernels_after=after[index],
            **_curves(progress, index),
        )
        for index, seed in enumerate(seeds)
    ]
    return summarise(spec, replicas, progress.epochs)


def summarise(spec: EdgeBandsSpec, replicas: list[ReplicaResult], epochs: list[int]) -> EdgeBandsResult:
    """Means and standard deviations over the replicas."""
    trained = [replica.train_accuracy for replica in replicas]
    validated = [replica.validation_accuracy for replica in replicas]
    return EdgeBandsResult(
        replicas=replicas,
        epochs=epochs,
        train_accuracy_mean=statistics.fmean(trained),
        train_accuracy_sd=statistics.stdev(trained) if len(trained) > 1 else None,
        validation_accuracy_mean=statistics.fmean(validated),
        validation_accuracy_sd=statistics.stdev(validated) if len(validated) > 1 else None,
        collapsed_replicas=sum(replica.collapsed for replica in replicas),
        bayes_limit=spec.bayes_limit,
        parameters=spec.parameters,
        trainable_parameters=spec.trainable_parameters,
    )


def first_epoch_at(accuracy: float, epochs: Sequence[int], accuracies: Sequence[float]) -> int | None:
    """The first of `epochs` with at least this accuracy."""
    return next((epoch for epoch, value in zip(epochs, accuracies, strict=True) if value >= accuracy), None)


def _curves(progress: Progress, replica: int) -> dict[str, object]:
    curve = {name: [values[replica] for values in series] for name, series in progress.curves.items()}
    last = {name: series[-1] for name, series in curve.items()}
    curve = {name: [round(value, DECIMALS) for value in series] for name, series in curve.items()}
    validated = curve["validation_accuracy"]
    return {
        **last,
        "train_losses": curve["train_loss"],
        "validation_losses": curve["validation_loss"],
        "train_accuracies": curve["train_accuracy"],
        "validation_accuracies": validated,
        "epochs_to_90_percent": first_epoch_at(0.90, progress.epochs, validated),
        "epochs_to_95_percent": first_epoch_at(0.95, progress.epochs, validated),
    }


def _kernels(network: StackedNetwork, replicas: int) -> list[list[list[list[float]]] | None]:
    """The first convolution's kernels of the first few replicas, and None for the others."""
    kernels = network.kernels()
    kept = [] if kernels is None else kernels.detach()[:MAX_KERNELS].double().round(decimals=DECIMALS).tolist()
    return kept + [None] * (replicas - len(kept))


def _confusions(spec: EdgeBandsSpec, network: StackedNetwork, data: PreparedSet) -> list[list[list[int]]]:
    predicted = predict(network, data).argmax(2)
    cells = data.labels * spec.classes + predicted
    return [
        torch.bincount(one, minlength=spec.classes**2).reshape(spec.classes, spec.classes).tolist() for one in cells
    ]
