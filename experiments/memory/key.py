"""What makes two questions one: the fields of a workload that change its memory, and the software. No torch here."""

import json
import re
from collections.abc import Collection
from uuid import UUID, uuid5

from experiments.memory.contract import Workload

ESTIMATOR_VERSION = 3
"""Grows when the estimator answers the same question otherwise; what was stored before is then not found."""
NAMESPACE = UUID("7baa8a4f-f467-4572-9937-0eafb71c8cbf")


def estimate_id(workload: Workload, editable: Collection[str], software: str) -> UUID:
    """A name-based id (RFC 9562, version 5): the same for questions with the same answer.

    `editable` names the workload's fields that edits may change; `software` are the versions traced with.
    """
    fields = workload.model_dump(mode="json")
    # Any penalty makes the same copies of the gradients, whatever its weight.
    fields["weight_decay"] = workload.weight_decay > 0
    asked = [ESTIMATOR_VERSION, software, sorted(editable), fields]
    return uuid5(NAMESPACE, json.dumps(asked, sort_keys=True))


def family_of(model: str) -> str:
    """The family that a model of torchvision belongs to: `resnet152` to `resnet`, `swin_v2_b` to `swin_v2`."""
    found = re.match(r"(?:wide_)?[a-z]+(?:_v\d)?", model)
    return model if found is None else found[0]
