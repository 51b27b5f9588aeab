"""The three networks, stacked: every parameter has a leading axis of R replicas; all seeds train in one step."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from homework.experiments.edge_bands.data import generator
from homework.experiments.edge_bands.spec import CHANNELS, HIDDEN_UNITS, IMAGE_SIZE, EdgeBandsSpec
from homework.experiments.edge_bands.stacked import CELL_AXIS, join_tiles, pool_average, pool_maximum, tiled_convolution

FIRST_TILE = (4, 4)
SECOND_TILE = (2, 7)
"""Tiles of the 28 x 28 and the 14 x 14 maps: among the fastest of those tried on a CPU for kernels of 7."""

Initialiser = Callable[[EdgeBandsSpec, np.random.Generator], list[np.ndarray]]


class StackedNetwork(ABC):
    """R networks of one shape. `parameters` are those that train, each (R, ...)."""

    parameters: list[Tensor]

    @abstractmethod
    def prepare(self, images: Tensor) -> Tensor:
        """Images (R, n, 28, 28) to what `features` takes; done once for a whole set."""

    @abstractmethod
    def features(self, inputs: Tensor) -> Tensor:
        """Prepared inputs (R, B, ...) to the non-negative input (R, B, F) of the last layer."""

    def logits(self, inputs: Tensor) -> Tensor:
        """Prepared inputs (R, B, ...) to (R, B, classes)."""
        return _affine(self.features(inputs), *self.parameters[-2:])

    def kernels(self) -> Tensor | None:
        """The first convolution's kernels (R, 3, k, k)."""
        return None


class StackedMlp(StackedNetwork):
    def __init__(self, spec: EdgeBandsSpec, seeds: Sequence[int], dtype: torch.dtype) -> None:
        self.parameters = _stack(initial_mlp, spec, seeds, dtype)

    def prepare(self, images: Tensor) -> Tensor:
        return images.flatten(2)

    def features(self, inputs: Tensor) -> Tensor:
        first, first_bias, second, second_bias, *_ = self.parameters
        return _affine(_affine(inputs, first, first_bias).relu(), second, second_bias).relu()


class StackedCnn(StackedNetwork):
    def __init__(self, spec: EdgeBandsSpec, seeds: Sequence[int], dtype: torch.dtype) -> None:
        self.parameters = _stack(initial_cnn, spec, seeds, dtype)
        self.border = spec.kernel_size // 2
        self.pooling = spec.pooling

    def prepare(self, images: Tensor) -> Tensor:
        return _reflect(images, self.border).unsqueeze(2)

    def features(self, inputs: Tensor) -> Tensor:
        return self._convolve(inputs, self.parameters)

    def kernels(self) -> Tensor:
        return self.parameters[0].squeeze(2)

    def _convolve(self, inputs: Tensor, parameters: Sequence[Tensor]) -> Tensor:
        first, first_bias, second, second_bias, *_ = parameters
        x = tiled_convolution(inputs, first, FIRST_TILE, cell=2)
        first_bias, second_bias = (bias[:, None, None, None, :, None, None] for bias in (first_bias, second_bias))
        # Bias and ReLU keep the order, so the maximum may come first and leave them a quarter of the numbers.
        x = (
            (pool_maximum(x) + first_bias).relu()
            if self.pooling == "max"
            else pool_average((x + first_bias.unsqueeze(CELL_AXIS)).relu())
        )
        x = tiled_convolution(_reflect(join_tiles(x), self.border), second, SECOND_TILE).squeeze(CELL_AXIS)
        return (x + second_bias).relu().mean((2, 3, 5, 6))


class StackedEdgeFrozen(StackedCnn):
    """Both convolutions are fixed, so their output is computed once and only the classifier is left to train."""

    def __init__(self, spec: EdgeBandsSpec, seeds: Sequence[int], dtype: torch.dtype) -> None:
        super().__init__(spec, seeds, dtype)
        banks = [edge_bank(spec, generator(seed, "weights")) for seed in seeds]
        bank = torch.from_numpy(np.stack(banks)).to(dtype)
        biases = torch.zeros(len(seeds), CHANNELS, dtype=dtype)
        self.frozen = [bank[:, :, None], biases, bank[:, :, None].expand(-1, -1, CHANNELS, -1, -1), biases]
        self.parameters = self.parameters[-2:]

    def prepare(self, images: Tensor) -> Tensor:
        padded = super().prepare(images)
        with torch.no_grad():
            return torch.cat([self._convolve(part, self.frozen) for part in torch.split(padded, 64, dim=1)], dim=1)

    def features(self, inputs: Tensor) -> Tensor:
        return inputs

    def kernels(self) -> Tensor:
        return self.frozen[0].squeeze(2)


def stacked_network(spec: EdgeBandsSpec, seeds: Sequence[int], dtype: torch.dtype = torch.float32) -> StackedNetwork:
    """The spec's network, once for each seed, with its first weights."""
    kinds: dict[str, type[StackedCnn | StackedMlp]] = {
        "cnn": StackedCnn,
        "mlp": StackedMlp,
        "edge_frozen": StackedEdgeFrozen,
    }
    return kinds[spec.model](spec, seeds, dtype)


def initial_cnn(spec: EdgeBandsSpec, rng: np.random.Generator) -> list[np.ndarray]:
    """Weights and biases of both convolutions and the classifier, as torch's layers draw theirs."""
    side = spec.kernel_size
    return [
        *_uniform(rng, (CHANNELS, 1, side, side)),
        *_uniform(rng, (CHANNELS, CHANNELS, side, side)),
        *_uniform(rng, (spec.classes, CHANNELS)),
    ]


def initial_mlp(spec: EdgeBandsSpec, rng: np.random.Generator) -> list[np.ndarray]:
    """Weights and biases of the three dense layers, as torch's layers draw theirs."""
    first, second = HIDDEN_UNITS
    shapes = [(first, IMAGE_SIZE**2), (second, first), (spec.classes, second)]
    return [array for shape in shapes for array in _uniform(rng, shape)]


def edge_bank(spec: EdgeBandsSpec, rng: np.random.Generator) -> np.ndarray:
    """Three kernels (3, k, k): a detector of horizontal edges, its transpose, and one that is random or zero.

    The exact detector is a row of +1 above a row of -1 at the centre; the oldest code's is y / (x^2 + y^2).
    """
    side, centre = spec.kernel_size, spec.kernel_size // 2
    if spec.geometry == "original":
        y, x = np.mgrid[:side, :side] - float(centre)
        distance = np.where((x == 0) & (y == 0), 1, x**2 + y**2)
        edge, third = y / distance, np.zeros((side, side))
    else:
        edge = np.zeros((side, side))
        edge[centre], edge[centre + 1] = 1, -1
        third = rng.uniform(-1, 1, (side, side)) / side
    return np.stack([edge, edge.T, third])


def _uniform(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """A weight and its bias, both uniform within 1 / sqrt(inputs) of zero."""
    bound = 1 / np.sqrt(np.prod(shape[1:]))
    return rng.uniform(-bound, bound, shape), rng.uniform(-bound, bound, shape[0])


def _stack(initial: Initialiser, spec: EdgeBandsSpec, seeds: Sequence[int], dtype: torch.dtype) -> list[Tensor]:
    drawn = [initial(spec, generator(seed, "weights")) for seed in seeds]
    return [torch.from_numpy(np.stack(arrays)).to(dtype).requires_grad_() for arrays in zip(*drawn, strict=True)]


def _affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(R, B, I) with weights (R, O, I) and biases (R, O) to (R, B, O)."""
    return torch.baddbmm(bias.unsqueeze(1), x, weight.transpose(1, 2))


def _reflect(x: Tensor, border: int) -> Tensor:
    """Mirror the last two axes outward by `border` pixels, the edge itself not repeated."""
    padded = pad(x.reshape(-1, 1, *x.shape[-2:]), (border,) * 4, mode="reflect")
    return padded.reshape(*x.shape[:-2], *padded.shape[-2:])
