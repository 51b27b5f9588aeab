"""What is asked of the predictor: a training step, described as data. No torch here."""

import json
import re
from collections.abc import Collection
from typing import Any, Literal, Self
from uuid import UUID, uuid5

from pydantic import Field, model_validator

from experiments.contract import Spec
from experiments.program_host.shape import shape
from experiments.torchvision_models import ModelName, check_image_size
from experiments.training.recipe import Optimizer, Precision

ESTIMATOR_VERSION = 8
"""Grows when the estimator answers the same question otherwise; what was stored before is then not found."""
NAMESPACE = UUID("7baa8a4f-f467-4572-9937-0eafb71c8cbf")
Implementation = Literal["for_loop", "foreach", "fused"]


class Workload(Spec):
    """All of a training run that decides its memory: a model, a batch, an optimizer and how they are used."""

    model: ModelName
    """A torchvision classification model."""
    num_classes: int = Field(default=10, ge=1, le=100_000)
    """The number of classes, which sets the size of the last layer."""
    image_size: int = Field(default=224, ge=1, le=1024)
    """Height and width of the images in pixels."""
    batch_size: int = Field(default=8, ge=1, le=65_536)
    """Images in one forward and backward pass."""
    gradient_accumulation_steps: int = Field(default=1, ge=1, le=1024)
    """Passes before each optimizer step."""
    optimizer: Optimizer = "sgd"
    """SGD, SGD with momentum 0.9, Adam, or AdamW."""
    implementation: Implementation | None = None
    """How the optimizer's step is computed; null for torch's choice: `foreach` on a GPU, `for_loop` on a CPU."""
    weight_decay: float = Field(default=0.0, ge=0, le=1)
    """A penalty of the gradient, unlike AdamW's, makes a copy of the gradients."""
    precision: Precision = "float32"
    """`bfloat16` and `float16` use mixed precision for the layers that support it."""
    channels_last: bool = False
    """Whether model and images use the memory format channels-last."""
    checkpointing: bool = False
    """Whether the blocks of the model's outermost stages keep only their inputs and recompute the rest."""
    set_to_none: bool = True
    """Whether `zero_grad` frees the gradients, torch's default, or fills them with zeros."""
    evaluation_batch_size: int | None = Field(default=None, ge=1, le=65_536)
    """Images in a forward pass without gradients after the second step; null for no such pass."""

    @model_validator(mode="after")
    def _image_size_suits_the_model(self) -> Self:
        check_image_size(self.model, self.image_size)
        return self


class ProgramRun(Spec):
    """A run of a student's own program. What it trains is not known, so its first steps are taken as they are."""

    experiment: str
    """`script` or `notebook`."""
    spec: dict[str, Any]
    """The spec of the run, with every default filled in."""

    @property
    def program(self) -> str:
        """The program's id."""
        return str(self.spec["program"])


def estimate_id(workload: Workload | ProgramRun, editable: Collection[str], software: str) -> UUID:
    """A name-based id (RFC 9562, version 5): the same for questions with the same answer.

    `editable` names the workload's fields that edits may change; `software` are the versions that take the steps.
    """
    asked: list[Any]
    if isinstance(workload, ProgramRun):
        asked = [ESTIMATOR_VERSION, software, workload.experiment, shape(workload.spec)]
    else:
        fields = workload.model_dump(mode="json")
        # Any penalty makes the same copies of the gradients, whatever its weight.
        fields["weight_decay"] = workload.weight_decay > 0
        asked = [ESTIMATOR_VERSION, software, sorted(editable), fields]
    return uuid5(NAMESPACE, json.dumps(asked, sort_keys=True))


def family_of(model: str) -> str:
    """The family that a model of torchvision belongs to: `resnet152` to `resnet`, `swin_v2_b` to `swin_v2`."""
    found = re.match(r"(?:wide_)?[a-z]+(?:_v\d)?", model)
    return model if found is None else found[0]
