"""Any torchvision classifier with fresh random weights, and its loss."""

from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

from experiments.torchvision_models import check_image_size

AUXILIARY_WEIGHTS = {"googlenet": 0.3, "inception_v3": 0.4}
"""Share of an auxiliary classifier's loss: for GoogLeNet from its paper (Szegedy et al., CVPR 2015)."""


def build_model(name: str, num_classes: int, image_size: int, *, seed: int, device: str = "cpu") -> nn.Module:
    """A torchvision model with weights drawn from `seed`, in training mode; nothing is downloaded.

    Weights are drawn on the CPU, so that a seed means the same start on every device.
    """
    check_image_size(name, image_size)
    options: dict[str, Any] = {}
    if name.startswith("vit"):
        options["image_size"] = image_size
    elif name == "maxvit_t":
        options["input_size"] = (image_size, image_size)
    elif name in AUXILIARY_WEIGHTS:
        options["init_weights"] = True
    torch.manual_seed(seed)
    model: nn.Module = torchvision.models.get_model(name, weights=None, num_classes=num_classes, **options)
    return model.to(device)


def logits_of(output: Any) -> Tensor:
    """The main logits (N x classes) of any torchvision classifier's output."""
    return output if isinstance(output, Tensor) else output[0]


def loss_of(model_name: str, output: Any, labels_N: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy; the auxiliary classifiers of GoogLeNet and Inception v3 add their weighted share."""
    loss = functional.cross_entropy(logits_of(output), labels_N, label_smoothing=label_smoothing)
    if isinstance(output, Tensor):
        return loss
    # torchvision names the auxiliary outputs differently in its two models; None stands for an absent one.
    for auxiliary_NC in output:
        if auxiliary_NC is not None and auxiliary_NC is not logits_of(output):
            extra = functional.cross_entropy(auxiliary_NC, labels_N, label_smoothing=label_smoothing)
            loss = loss + AUXILIARY_WEIGHTS[model_name] * extra
    return loss
