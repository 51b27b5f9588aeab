"""Stochastic gradient descent on R networks at once, with evaluations, checkpoints and exact resumption."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from experiments.contract import Diverged, Run, Stopped
from homework.experiments.edge_bands.data import Images, generator
from homework.experiments.edge_bands.models import StackedNetwork
from homework.experiments.edge_bands.spec import EdgeBandsSpec

CHECKPOINT_INTERVAL_SECONDS = 20.0
IMAGES_BATCH_SIZE = 512
"""Of all replicas together, when nothing is learned: enough for speed, little memory."""


@dataclass(frozen=True)
class PreparedSet:
    """One set of images of every replica: `inputs` (R, n, ...) as the network takes them, `labels` (R, n)."""

    inputs: Tensor
    labels: Tensor

    @classmethod
    def of(cls, network: StackedNetwork, images: Sequence[Images]) -> "PreparedSet":
        dtype = network.parameters[0].dtype
        pixels = torch.from_numpy(np.stack([one.pixels for one in images])).to(dtype) / 255
        return cls(network.prepare(pixels), torch.from_numpy(np.stack([one.labels for one in images])))


@dataclass(frozen=True)
class Evaluation:
    """Mean loss and accuracy (R,) on one set."""

    loss: Tensor
    accuracy: Tensor


@dataclass
class Progress:
    """Everything training needs to go on: the epoch done, momentum (one a parameter), and the curves so far.

    Each curve is a list over evaluated epochs of R values.
    """

    momentum: list[Tensor]
    epoch: int = -1
    epochs: list[int] = field(default_factory=list)
    curves: dict[str, list[list[float]]] = field(default_factory=dict)


def train(
    spec: EdgeBandsSpec,
    run: Run,
    seeds: Sequence[int],
    network: StackedNetwork,
    sets: dict[str, PreparedSet],
) -> Progress:
    """Train `network` in place on `sets["train"]`; both sets are evaluated at every epoch of `evaluated_epochs`."""
    state = _resume(run, network) or Progress([torch.zeros_like(weight) for weight in network.parameters])
    evaluated = evaluated_epochs(spec)
    saved = time.monotonic()
    for epoch in range(state.epoch + 1, spec.epochs + 1):
        if epoch > 0:
            train_epoch(spec, network, sets["train"], state.momentum, _orders(seeds, epoch, sets["train"]))
        state.epoch = epoch
        if epoch in evaluated:
            _evaluate_and_record(spec, run, seeds, network, sets, state)
        stopping = run.should_stop()
        if stopping or time.monotonic() - saved > CHECKPOINT_INTERVAL_SECONDS:
            _save(run, network, state)
            saved = time.monotonic()
        if stopping:
            raise Stopped(f"stopped after epoch {epoch} of {spec.epochs}")
    return state


def evaluated_epochs(spec: EdgeBandsSpec) -> frozenset[int]:
    """0 and `curve_points` epochs evenly spread up to the last; every epoch where there are no more than that."""
    points = min(spec.curve_points, spec.epochs)
    return frozenset(math.ceil(index * spec.epochs / points) for index in range(points + 1))


def train_epoch(
    spec: EdgeBandsSpec, network: StackedNetwork, train_set: PreparedSet, momentum: list[Tensor], orders: Tensor
) -> None:
    """One pass over the set, each replica in its own order (R, n)."""
    replica = torch.arange(len(orders)).unsqueeze(1)
    for batch in torch.split(orders, spec.batch_size, dim=1):
        logits = network.logits(train_set.inputs[replica, batch])
        labels = train_set.labels[replica, batch]
        # Replicas share no parameter: the gradient of the sum of their losses is each one's own.
        loss = cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum") / batch.shape[1]
        gradients = torch.autograd.grad(loss, network.parameters)
        with torch.no_grad():
            for weight, velocity, gradient in zip(network.parameters, momentum, gradients, strict=True):
                velocity.mul_(spec.momentum).add_(gradient)
                weight.sub_(velocity, alpha=spec.learning_rate)


@torch.no_grad()
def evaluate(network: StackedNetwork, data: PreparedSet) -> Evaluation:
    """Mean loss and accuracy of every replica on its own set."""
    logits = predict(network, data)
    losses = cross_entropy(logits.flatten(0, 1), data.labels.flatten(), reduction="none").view_as(data.labels)
    return Evaluation(losses.mean(1), (logits.argmax(2) == data.labels).double().mean(1))


@torch.no_grad()
def predict(network: StackedNetwork, data: PreparedSet) -> Tensor:
    """Logits (R, n, classes) of a whole set."""
    return torch.cat([network.logits(part) for part in _parts(data.inputs)], dim=1)


@torch.no_grad()
def dead_features(network: StackedNetwork, data: PreparedSet) -> Tensor:
    """How many inputs of the last layer are zero for every image, (R,)."""
    largest = torch.stack([network.features(part).amax(1) for part in _parts(data.inputs)]).amax(0)
    return (largest == 0).sum(1)


def _parts(inputs: Tensor) -> tuple[Tensor, ...]:
    return torch.split(inputs, max(1, IMAGES_BATCH_SIZE // len(inputs)), dim=1)


def _orders(seeds: Sequence[int], epoch: int, data: PreparedSet) -> Tensor:
    # Drawn afresh from seed and epoch, so that a resumed run needs no generator's state.
    images = data.labels.shape[1]
    return torch.from_numpy(np.stack([generator(seed, "order", epoch).permutation(images) for seed in seeds]))


def _evaluate_and_record(
    spec: EdgeBandsSpec,
    run: Run,
    seeds: Sequence[int],
    network: StackedNetwork,
    sets: dict[str, PreparedSet],
    state: Progress,
) -> None:
    values: dict[str, float] = {}
    for name, data in sets.items():
        found = evaluate(network, data)
        if not bool(found.loss.isfinite().all()):
            seed = seeds[int((~found.loss.isfinite()).nonzero()[0])]
            raise Diverged(f"the {name} loss of seed {seed} is not finite after epoch {state.epoch}")
        for what, series in (("loss", found.loss), ("accuracy", found.accuracy)):
            state.curves.setdefault(f"{name}_{what}", []).append(series.tolist())
            values[f"{name}_{what}"] = float(series.mean())
    last = state.curves["validation_accuracy"][-1]
    values |= {"validation_accuracy_lowest": min(last), "validation_accuracy_highest": max(last)}
    state.epochs.append(state.epoch)
    run.metrics(state.epoch, values)
    run.progress(state.epoch / spec.epochs, f"epoch {state.epoch} of {spec.epochs}")


def _save(run: Run, network: StackedNetwork, state: Progress) -> None:
    content = {
        "parameters": [weight.detach() for weight in network.parameters],
        "momentum": state.momentum,
        "epoch": state.epoch,
        "epochs": state.epochs,
        "curves": state.curves,
    }
    with run.checkpoint(state.epoch) as path:
        torch.save(content, path)


def _resume(run: Run, network: StackedNetwork) -> Progress | None:
    found = run.latest_checkpoint()
    if found is None:
        return None
    content: dict[str, Any] = torch.load(found[1], weights_only=True)
    with torch.no_grad():
        for weight, saved in zip(network.parameters, content.pop("parameters"), strict=True):
            weight.copy_(saved)
    return Progress(**content)
