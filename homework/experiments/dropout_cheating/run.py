"""A small convolutional net that can cheat, trained with or without dropout.

Claim (question set question 1i), by the sheet on CIFAR-10 after 10 epochs: without dropout 100 % with the code
and 10 %, chance, without it; with dropout 0.75 after both blocks 93 % and 21 %. The code is exact, so it displaces the
image; dropout makes each unit that carries it fail three times in four, twice over, so that other evidence pays.

A ReLU on the logits can switch a class off: once its logit is 0 for every image it gets no gradient, and accuracy
stops a tenth below 1.
"""

import math
import time
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from experiments.contract import Diverged, Run, Stopped
from experiments.training.checkpoint import load_checkpoint, save_checkpoint
from homework.experiments.dropout_cheating.images import CheatingImages, read_images
from homework.experiments.dropout_cheating.spec import (
    CLASSES,
    CheatingEpoch,
    DropoutCheatingResult,
    DropoutCheatingSpec,
)

LAST_BATCHES = 100
MEMORY_FORMATS = {"cpu": torch.channels_last, "cuda": torch.contiguous_format}
"""Pooling in particular is several times as fast on a CPU when a pixel's channels lie side by side."""
TEST_BATCH = 1000


def run(spec: DropoutCheatingSpec, run: Run) -> DropoutCheatingResult:
    """Train and test after every epoch; raises `Stopped` with a checkpoint of the last whole epoch, and `Diverged`."""
    images = read_images(spec, run)
    torch.manual_seed(run.seed)
    model = build_net(spec).to(run.device).to(memory_format=MEMORY_FORMATS[run.device])
    training = _Training(spec, run, model, torch.optim.SGD(model.parameters(), lr=spec.learning_rate))
    training.resume()
    for _ in range(len(training.epochs), spec.epochs):
        training.epoch(images)
    rows = training.epochs
    run.table("epochs", list(CheatingEpoch.model_fields), [list(row.model_dump().values()) for row in rows])
    run.progress(1.0, "done")
    return _result(spec, images, model, rows)


def build_net(spec: DropoutCheatingSpec) -> nn.Sequential:
    """Two blocks of convolution, max pooling, ReLU and dropout, and a linear layer: 25,578 parameters."""
    layers = [
        *(nn.Conv2d(3, 16, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(), nn.Dropout(spec.dropout)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(), nn.Dropout(spec.dropout)),
        *(nn.Flatten(), nn.Linear(32 * 8 * 8, CLASSES)),
    ]
    return nn.Sequential(*layers, *([nn.ReLU()] if spec.relu_on_logits else []))


@dataclass(slots=True)
class _Training:
    spec: DropoutCheatingSpec
    run: Run
    model: nn.Module
    optimizer: torch.optim.Optimizer
    epochs: list[CheatingEpoch] = field(default_factory=list)
    step: int = 0

    def epoch(self, images: CheatingImages) -> None:
        """Train one epoch, test with and without the code, record, and save."""
        started = time.perf_counter()
        losses = self._train(images)
        seconds = time.perf_counter() - started
        self.run.phase("evaluation")
        cheat, clean = classify(self.model, images)
        dead = dead_classes(self.spec, cheat.logits, clean.logits)
        row = CheatingEpoch(
            epoch=len(self.epochs) + 1,
            train_loss=sum(losses[-LAST_BATCHES:]) / len(losses[-LAST_BATCHES:]),
            validation_loss=cheat.loss,
            cheat_accuracy=cheat.accuracy,
            clean_accuracy=clean.accuracy,
            dead_classes=len(dead),
            seconds=seconds,
        )
        self.epochs.append(row)
        self.run.metrics(self.step, row.model_dump(exclude={"seconds"}))
        self._save()

    def _train(self, images: CheatingImages) -> list[float]:
        self.run.phase("train")
        self.model.train()
        # On the CPU the generator draws the same order for every device.
        order_N = torch.randperm(len(images.train_labels)).to(self.run.device)
        batches = torch.split(order_N, self.spec.batch_size)
        unread: list[Tensor] = []
        losses: list[float] = []
        for number, index_B in enumerate(batches):
            if self.run.should_stop():
                raise Stopped(f"asked to stop in epoch {len(self.epochs) + 1}; epochs before it are saved")
            logits_BC = self.model(images.train[index_B])
            loss = functional.cross_entropy(logits_BC, images.train_labels[index_B])
            self.optimizer.zero_grad()
            torch.autograd.backward(loss)
            self.optimizer.step()
            unread.append(loss.detach())
            if len(unread) == LAST_BATCHES or number + 1 == len(batches):
                losses += self._record(unread)
                unread.clear()
                self._tell(number / len(batches))
        return losses

    def _record(self, unread: list[Tensor]) -> list[float]:
        """Reading many losses at once makes the host wait for a GPU once."""
        losses: list[float] = torch.stack(unread).tolist()
        for loss in losses:
            self.step += 1
            if not math.isfinite(loss):
                raise Diverged(f"the loss is {loss} at step {self.step}; a smaller learning_rate may help")
            self.run.metrics(self.step, {"loss": loss})
        return losses

    def _tell(self, share: float) -> None:
        done = len(self.epochs)
        self.run.progress((done + share) / self.spec.epochs, f"epoch {done + 1} of {self.spec.epochs}")

    def _save(self) -> None:
        state: dict[str, Any] = {
            "model": self.model.state_dict(),
            "epochs": [row.model_dump() for row in self.epochs],
            "step": self.step,
        }
        with self.run.checkpoint(self.step) as path:
            save_checkpoint(path, state, self.run.device)

    def resume(self) -> None:
        """Go on from the last whole epoch, if there is one; plain SGD has no state of its own."""
        latest = self.run.latest_checkpoint()
        if latest is None:
            return
        state = load_checkpoint(latest[1])
        self.model.load_state_dict(state["model"])
        self.epochs = [CheatingEpoch(**row) for row in state["epochs"]]
        self.step = state["step"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Logits (N x classes), their mean cross-entropy and accuracy."""

    logits: Tensor
    loss: float
    accuracy: float


@torch.inference_mode()
def classify(model: nn.Module, images: CheatingImages) -> tuple[Outcome, Outcome]:
    """Classify the test images with the code and without it, dropout off."""
    model.eval()
    outcomes: list[Outcome] = []
    for x_N3HW in (images.cheat_test, images.clean_test):
        logits_NC = torch.cat([model(x_B3HW) for x_B3HW in torch.split(x_N3HW, TEST_BATCH)])
        loss = functional.cross_entropy(logits_NC, images.test_labels).item()
        accuracy = logits_NC.argmax(1).eq(images.test_labels).double().mean().item()
        outcomes.append(Outcome(logits_NC, loss, accuracy))
    return outcomes[0], outcomes[1]


def dead_classes(spec: DropoutCheatingSpec, *logits_NC: Tensor) -> list[int]:
    """Classes whose logit a ReLU holds at 0 for all of these images."""
    if not spec.relu_on_logits:
        return []
    alive_C = torch.stack([logits.ne(0).any(0) for logits in logits_NC]).any(0)
    return [number for number, alive in enumerate(alive_C.tolist()) if not alive]


def _result(
    spec: DropoutCheatingSpec, images: CheatingImages, model: nn.Module, rows: list[CheatingEpoch]
) -> DropoutCheatingResult:
    cheat, clean = classify(model, images)
    at_target = next((row for row in rows if row.cheat_accuracy >= spec.target_cheat_accuracy), None)
    return DropoutCheatingResult(
        parameter_count=sum(parameter.numel() for parameter in model.parameters()),
        class_names=list(images.class_names),
        train_images=len(images.train_labels),
        test_images=len(images.test_labels),
        epochs=rows,
        clean_accuracy=clean.accuracy,
        cheat_accuracy=cheat.accuracy,
        dead_classes=dead_classes(spec, cheat.logits, clean.logits),
        epoch_at_target=at_target.epoch if at_target else None,
        clean_accuracy_at_target=at_target.clean_accuracy if at_target else None,
        samples=images.samples(),
    )
