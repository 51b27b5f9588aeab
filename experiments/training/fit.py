"""The training loop. It can be stopped after any optimizer step, and what goes on from its checkpoint goes on exactly.

The state of a run is the model, the optimizer, the random generators, the order of the current epoch's images and how
far into it the run is. On the CPU with the same number of threads a resumed run ends at the same bits as one that was
never stopped; on a GPU as far as cuDNN's kernels repeat themselves.
"""

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from experiments.contract import Diverged, Run, Stopped
from experiments.datasets.loading import Images, to_input
from experiments.training.augment import crop, flip
from experiments.training.checkpoint import load_checkpoint, save_checkpoint
from experiments.training.evaluate import Evaluation, evaluate
from experiments.training.first_steps import FirstSteps, record_memory
from experiments.training.memory import count_saved_activations, read_memory, reset_peak
from experiments.training.models import build_model, logits_of, loss_of
from experiments.training.optimizers import build_optimizer
from experiments.training.recipe import Recipe
from experiments.training.rows import EPOCH_METRIC_NAMES, EpochRow

CHECKPOINT_INTERVAL_SECONDS = 120.0
"""Long epochs are saved in between, so that a lost node costs minutes."""
TELL_INTERVAL_SECONDS = 0.2
LOSSES_BATCH_SIZE = {"cpu": 1, "cuda": 50}
"""Reading a loss makes the host wait for a GPU, so they are read in groups."""
PRECISIONS = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class Standardize(nn.Module):
    """Subtract each channel's mean and divide by its deviation; without statistics, pass everything on."""

    def __init__(self, images: Images | None) -> None:
        super().__init__()
        mean_C, deviation_C = torch.zeros(3), torch.ones(3)
        if images is not None:
            some = images.pixels[:: max(1, len(images) // 10_000)].float() / 255
            mean_C = some.mean((0, 2, 3)).expand(3).clone()
            deviation_C = some.std((0, 2, 3)).clamp_min(1e-3).expand(3).clone()
        self.mean_C: Tensor
        self.deviation_C: Tensor
        self.register_buffer("mean_C", mean_C)
        self.register_buffer("deviation_C", deviation_C)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return (x_BCHW - self.mean_C[:, None, None]) / self.deviation_C[:, None, None]


@dataclass(slots=True)
class _Progress:
    """Where a run is. Everything here goes into the checkpoint."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    order: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    loss_sum: float = 0.0
    correct: int = 0
    images: int = 0
    last_loss: float = math.nan
    train_seconds: float = 0.0
    elapsed_seconds: float = 0.0
    saved_activation_bytes_per_image: float | None = None
    best_accuracy: float = -1.0
    best_epoch: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)

    def begin_next_epoch(self) -> None:
        self.epoch += 1
        self.batch = self.correct = self.images = 0
        self.loss_sum = self.train_seconds = 0.0
        self.order = torch.empty(0, dtype=torch.int64)


class Fit:
    """One training run: made fresh or from the latest checkpoint, then `run`."""

    def __init__(self, recipe: Recipe, num_classes: int, train: Images, validation: Images, run: Run) -> None:
        """Raises `ValueError` for a precision that the device does not have."""
        if recipe.precision == "float16" and run.device != "cuda":
            raise ValueError(f"precision: float16 needs a GPU and this run has the device {run.device}; use bfloat16")
        self.recipe = recipe
        self.train = train
        self.validation = validation
        self._first_steps = FirstSteps(run)
        run.phase("model")
        self.model = build_model(recipe.model, num_classes, recipe.image_size, seed=run.seed, device=run.device)
        self.optimizer = build_optimizer(
            recipe.optimizer, self.model.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        self.best_weights: dict[str, Tensor] | None = None
        self._run = run
        self._standardize = Standardize(train if recipe.normalize else None).to(run.device)
        self._scaler = torch.amp.GradScaler(run.device, enabled=recipe.precision == "float16")
        self._generator = torch.Generator().manual_seed(run.seed)
        self._progress = _Progress()
        self._unread: list[tuple[Tensor, Tensor, int]] = []
        self._clock = self._saved_at = self._told_at = time.perf_counter()
        whole, rest = divmod(len(train), self._images_per_step)
        # Batch norm cannot normalise a single image, so a last batch of one is left out.
        self.steps_per_epoch = whole + (rest > 1 or self._images_per_step == 1 or whole == 0)
        self._resume()

    def run(self) -> list[EpochRow]:
        """Train to the last epoch, or until patience ends; one row an epoch.

        Raises `Stopped`, with everything saved, and `Diverged`.
        """
        while self._progress.epoch < self.recipe.epochs and not self.stopped_early:
            self._train_epoch()
            try:
                self._finish_epoch()
            except Stopped:
                self._save()
                raise
            self._save()
        return self.rows

    @property
    def rows(self) -> list[EpochRow]:
        """The epochs done."""
        return [EpochRow(**row) for row in self._progress.rows]

    @property
    def best_epoch(self) -> int:
        """The epoch, counted from 1, with the highest validation accuracy; the first of equals."""
        return self._progress.best_epoch

    @property
    def stopped_early(self) -> bool:
        """Whether patience ran out before the last epoch."""
        patience, done = self.recipe.patience_epochs, self._progress.epoch
        return patience is not None and done < self.recipe.epochs and done - self.best_epoch >= patience

    @property
    def saved_activation_bytes_per_image(self) -> float | None:
        """Bytes that a training forward pass saves for backward, by image; None before the first step."""
        return self._progress.saved_activation_bytes_per_image

    def evaluate(self, images: Images) -> Evaluation:
        """Classify these images with the weights as they are."""
        return evaluate(self.model, images, self.recipe.image_size, self._run, self._standardize)

    @property
    def _images_per_step(self) -> int:
        return self.recipe.batch_size * self.recipe.gradient_accumulation_steps

    def _train_epoch(self) -> None:
        progress = self._progress
        if not len(progress.order):
            progress.order = torch.randperm(len(self.train), generator=self._generator)
        self._run.phase("train")
        self.model.train()
        reset_peak(self._run.device)
        self._clock = time.perf_counter()
        while progress.batch < self.steps_per_epoch:
            if self._run.should_stop():
                self._save()
                raise Stopped(f"asked to stop in epoch {progress.epoch + 1} after step {progress.step}")
            if time.perf_counter() - self._saved_at > CHECKPOINT_INTERVAL_SECONDS:
                self._save()
            self._step()
        self._read_losses()
        self._stop_clock()

    def _step(self) -> None:
        """One optimizer step, over as many pieces of the batch as are accumulated."""
        progress = self._progress
        first = progress.batch * self._images_per_step
        drawn = torch.split(progress.order[first : first + self._images_per_step], self.recipe.batch_size)
        pieces = [piece for piece in drawn if len(piece) > 1 or self.recipe.batch_size == 1] or drawn
        count = sum(map(len, pieces))
        self.optimizer.param_groups[0]["lr"] = self.recipe.learning_rate_at(progress.step, self.steps_per_epoch)
        self.optimizer.zero_grad()
        loss = torch.zeros((), device=self._run.device)
        correct = torch.zeros((), dtype=torch.int64, device=self._run.device)
        for piece in pieces:
            self._first_steps.begin("forward")
            part, right = self._forward(piece)
            self._first_steps.begin("backward")
            torch.autograd.backward(self._scaler.scale(part * (len(piece) / count)))
            loss += part.detach() * (len(piece) / count)
            correct += right
        self._first_steps.begin("step")
        self._scaler.step(self.optimizer)
        self._scaler.update()
        self._first_steps.end_step()
        progress.batch += 1
        progress.step += 1
        self._unread.append((loss, correct, count))
        if len(self._unread) >= LOSSES_BATCH_SIZE[self._run.device]:
            self._read_losses()
        self._tell()

    def _forward(self, index_B: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and number of right answers of one piece of a batch."""
        batch = self.train.take(index_B)
        labels_B = batch.labels.to(self._run.device)
        x_BCHW = batch.pixels.to(self._run.device)
        if self.recipe.crop_padding:
            x_BCHW = crop(x_BCHW, self.recipe.crop_padding, self._generator)
        if self.recipe.flip:
            x_BCHW = flip(x_BCHW, self._generator)
        x_BCHW = self._standardize(to_input(x_BCHW, self.recipe.image_size))
        with self._autocast(), self._first_activations(len(index_B)):
            output = self.model(x_BCHW)
            loss = loss_of(self.recipe.model, output, labels_B, self.recipe.label_smoothing)
        return loss, logits_of(output).argmax(1).eq(labels_B).sum()

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        if self.recipe.precision == "float32":
            return contextlib.nullcontext()
        return torch.autocast(self._run.device, PRECISIONS[self.recipe.precision])

    @contextlib.contextmanager
    def _first_activations(self, count: int) -> Iterator[None]:
        if self._progress.saved_activation_bytes_per_image is not None:
            yield
            return
        with count_saved_activations(self.model) as saved:
            yield
        self._progress.saved_activation_bytes_per_image = saved.size_bytes / count

    def _read_losses(self) -> None:
        if not self._unread:
            return
        progress = self._progress
        losses = torch.stack([loss for loss, _, _ in self._unread]).tolist()
        rights = torch.stack([correct for _, correct, _ in self._unread]).tolist()
        first = progress.step - len(self._unread)
        for step, (loss, right, (_, _, count)) in enumerate(zip(losses, rights, self._unread, strict=True), first + 1):
            if not math.isfinite(loss):
                raise Diverged(f"the loss is {loss} at step {step}; a smaller learning_rate may help")
            self._run.metrics(step, {"loss": loss})
            progress.loss_sum += loss * count
            progress.correct += right
            progress.images += count
            progress.last_loss = loss
        self._unread.clear()

    def _finish_epoch(self) -> None:
        """Evaluate, write the epoch's row, and get ready for the next one."""
        progress, run = self._progress, self._run
        memory = read_memory(run.device)
        record_memory(run)
        started = time.perf_counter()
        run.phase("evaluation")
        accuracy = self.evaluate(self.train).accuracy if self.recipe.training_accuracy else None
        epoch_seconds = progress.train_seconds + time.perf_counter() - started
        timestamp = time.time()
        run.phase("validation")
        validation = self.evaluate(self.validation)
        if progress.epoch > 0:
            progress.elapsed_seconds += epoch_seconds
        row = EpochRow(
            timestamp=timestamp,
            epoch=progress.epoch + 1,
            steps=progress.step,
            learning_rate=self.optimizer.param_groups[0]["lr"],
            memory_used_bytes=memory.device_used_bytes,
            peak_allocated_bytes=memory.peak_allocated_bytes,
            reserved_bytes=memory.reserved_bytes,
            host_rss_bytes=memory.host_rss_bytes,
            loss=progress.last_loss,
            mean_loss=progress.loss_sum / progress.images,
            running_accuracy=progress.correct / progress.images,
            accuracy=accuracy,
            validation_loss=validation.loss,
            validation_accuracy=validation.accuracy,
            images_per_second=progress.images / progress.train_seconds,
            train_seconds=progress.train_seconds,
            epoch_seconds=epoch_seconds,
            elapsed_seconds=progress.elapsed_seconds,
        )
        if validation.accuracy > progress.best_accuracy:
            progress.best_accuracy, progress.best_epoch = validation.accuracy, row.epoch
            if self.recipe.keep_best_weights:
                self.best_weights = {name: value.cpu().clone() for name, value in self.model.state_dict().items()}
        self._record(row)
        progress.begin_next_epoch()

    def _record(self, row: EpochRow) -> None:
        self._progress.rows.append(row.model_dump())
        values = {name: getattr(row, name) for name in EPOCH_METRIC_NAMES}
        self._run.metrics(row.steps, {name: value for name, value in values.items() if value is not None})

    def _tell(self) -> None:
        now = time.perf_counter()
        if now - self._told_at < TELL_INTERVAL_SECONDS:
            return
        self._told_at = now
        record_memory(self._run)
        progress, epochs = self._progress, self.recipe.epochs
        fraction = (progress.epoch + progress.batch / self.steps_per_epoch) / epochs
        self._run.progress(fraction, f"epoch {progress.epoch + 1} of {epochs}")

    def _stop_clock(self) -> None:
        now = time.perf_counter()
        self._progress.train_seconds += now - self._clock
        self._clock = now

    def _save(self) -> None:
        self._read_losses()
        if self._progress.batch < self.steps_per_epoch and len(self._progress.order):
            self._stop_clock()
        with self._run.checkpoint(self._progress.step) as path:
            save_checkpoint(
                path,
                {
                    "progress": asdict(self._progress),
                    "model": self.model.state_dict(),
                    "optimizer": self.optimizer.state_dict(),
                    "scaler": self._scaler.state_dict(),
                    "generator": self._generator.get_state(),
                    "best_weights": self.best_weights,
                },
                self._run.device,
            )
        self._clock = self._saved_at = time.perf_counter()

    def _resume(self) -> None:
        latest = self._run.latest_checkpoint()
        if latest is None:
            return
        state = load_checkpoint(latest[1])
        self._progress = _Progress(**state["progress"])
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])
        self._generator.set_state(state["generator"])
        self.best_weights = state["best_weights"]
