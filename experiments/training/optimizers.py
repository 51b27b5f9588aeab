"""Optimizers by name."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn


def build_optimizer(
    name: str,
    parameters: Iterable[nn.Parameter],
    learning_rate: float,
    *,
    weight_decay: float = 0.0,
    foreach: bool | None = None,
    fused: bool | None = None,
) -> torch.optim.Optimizer:
    """`sgd`, `sgd_momentum` (0.9), `adam` or `adamw` (betas 0.9, 0.999).

    State per parameter element: none, one, two and two numbers. `foreach` lets torch update many tensors at once, at
    the price of temporaries, `fused` in one kernel; None of both leaves the choice to torch.
    """
    how: dict[str, Any] = {"lr": learning_rate, "weight_decay": weight_decay, "foreach": foreach, "fused": fused}
    match name:
        case "sgd" | "sgd_momentum":
            momentum = 0.9 if name == "sgd_momentum" else 0.0
            return torch.optim.SGD(parameters, momentum=momentum, **how)
        case "adam":
            return torch.optim.Adam(parameters, **how)
        case "adamw":
            return torch.optim.AdamW(parameters, **how)
    raise ValueError(f"unknown optimizer {name!r}")
