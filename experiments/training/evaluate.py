"""Classify every image of a split in evaluation mode."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from experiments.contract import Run, Stopped
from experiments.datasets.loading import Images, to_input
from experiments.training.models import logits_of
from experiments.training.recipe import evaluation_batch_size


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Mean cross-entropy, accuracy, and the predicted class of every image (int64, N, on the CPU)."""

    loss: float
    accuracy: float
    predictions: Tensor


@torch.inference_mode()
def evaluate(model: nn.Module, images: Images, image_size: int, run: Run, standardize: nn.Module) -> Evaluation:
    """Raises `Stopped` between batches when the run is asked to end. The model is left in evaluation mode."""
    model.eval()
    batch_size = evaluation_batch_size(image_size)
    loss = torch.zeros((), dtype=torch.float64, device=run.device)
    predictions: list[Tensor] = []
    batches = (torch.split(whole, batch_size) for whole in (images.pixels, images.labels))
    for pixels_BCHW, labels_B in zip(*batches, strict=True):
        if run.should_stop():
            raise Stopped("asked to stop during an evaluation")
        logits_BC = logits_of(model(standardize(to_input(pixels_BCHW.to(run.device), image_size))))
        loss += functional.cross_entropy(logits_BC.float(), labels_B.to(run.device), reduction="sum")
        predictions.append(logits_BC.argmax(1))
    predicted_N = torch.cat(predictions).cpu()
    return Evaluation(loss.item() / len(images), (predicted_N == images.labels).double().mean().item(), predicted_N)
