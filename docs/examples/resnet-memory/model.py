"""A small residual network: as deep and as wide as one asks."""

import torch
from torch import nn


class Block(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`[batch, channels, height, width]` in and out."""
        return nn.functional.relu(x + self.layers(x))


def resnet(blocks: int, channels: int, classes: int = 10) -> nn.Sequential:
    """Logits `[batch, classes]` of images `[batch, 3, height, width]`."""
    stem = nn.Conv2d(3, channels, 3, padding=1)
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))
    return nn.Sequential(stem, *(Block(channels) for _ in range(blocks)), *head)
