"""The networks as plain modules: their readable definition, and what the stacked ones are tested against."""

from torch import Tensor, nn

from homework.experiments.edge_bands.spec import CHANNELS, HIDDEN_UNITS, IMAGE_SIZE, EdgeBandsSpec


class GlobalAverage(nn.Module):
    """(B, C, Y, X) to (B, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


def plain_network(spec: EdgeBandsSpec) -> nn.Sequential:
    """Takes images (B, 1, 28, 28) to logits (B, classes), with torch's own initial weights."""
    if spec.model == "mlp":
        first, second = HIDDEN_UNITS
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(IMAGE_SIZE**2, first),
            nn.ReLU(),
            nn.Linear(first, second),
            nn.ReLU(),
            nn.Linear(second, spec.classes),
        )
    side = spec.kernel_size
    return nn.Sequential(
        nn.Conv2d(1, CHANNELS, side, padding=side // 2, padding_mode="reflect"),
        nn.ReLU(),
        nn.MaxPool2d(2) if spec.pooling == "max" else nn.AvgPool2d(2),
        nn.Conv2d(CHANNELS, CHANNELS, side, padding=side // 2, padding_mode="reflect"),
        nn.ReLU(),
        GlobalAverage(),
        nn.Linear(CHANNELS, spec.classes),
    )
