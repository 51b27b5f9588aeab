"""How the gradient of a weight grows with the image when pixels and upstream gradients are random with mean 0.

Products x dy at different positions are uncorrelated where positions are independent, so the m^2 variances add up:
Var dw = m^2 sx^2 sg^2. With a share s of both variances common to all positions, each of the m^2 (m^2 - 1) pairs adds
the covariance s^2 sx^2 sg^2. Shapes: R repeats, n x n images, m x m upstream gradients, k x k weights.
"""

from math import sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from homework.experiments.conv_gradients.spec import GROUPS, ConvGradientsSpec, Growth

Array = NDArray[np.float64]

T_QUANTILE = 2.8609
"""99.5 % quantile of Student's t with GROUPS - 1 = 19 degrees of freedom: 99 % intervals."""
PIXELS_PER_DRAW = 2**20


def measure(spec: ConvGradientsSpec, side: int, generator: torch.Generator) -> tuple[Growth, Array]:
    """The variance at one side, and that of each group, shape (GROUPS,)."""
    gradients = draw_gradients(spec, side, generator)
    variances = np.array([group.square().mean() for group in gradients.tensor_split(GROUPS)])
    mean, half_width = interval(variances)
    standard_error = gradients.std(dim=0) / sqrt(len(gradients))
    growth = Growth(
        side=side,
        output_side=side - spec.kernel_side + 1,
        variance=mean,
        variance_low=mean - half_width,
        variance_high=mean + half_width,
        closed_form=closed_form(spec, side),
        sheet=(side - spec.kernel_side + 1) * (spec.input_sd * spec.upstream_sd) ** 2,
        mean_deviation=float((gradients.mean(dim=0).abs() / standard_error).max()),
    )
    return growth, variances


def draw_gradients(spec: ConvGradientsSpec, side: int, generator: torch.Generator) -> Tensor:
    """dw for every repeat, shape (R, k * k)."""
    k, m = spec.kernel_side, side - spec.kernel_side + 1
    found = []
    per_draw = max(1, PIXELS_PER_DRAW // side**2)
    for first in range(0, spec.repeats, per_draw):
        count = min(per_draw, spec.repeats - first)
        X = _field(spec, spec.input_sd, count, side, generator)
        dY = _field(spec, spec.upstream_sd, count, m, generator)
        windows = (X[:, i : i + m, j : j + m] for i in range(k) for j in range(k))
        found.append(torch.stack([torch.einsum("rij,rij->r", window, dY) for window in windows], dim=1))
    return torch.cat(found)


def closed_form(spec: ConvGradientsSpec, side: int) -> float:
    """Var dw at one image side."""
    positions = (side - spec.kernel_side + 1) ** 2
    together = 1 + (positions - 1) * spec.shared_variance**2
    return positions * together * (spec.input_sd * spec.upstream_sd) ** 2


def slopes(output_sides: list[int], variances_SG: Array) -> Array:
    """Least-squares slope of log sd on log m for each group; variances (sides, groups) give shape (groups,)."""
    x = np.log(output_sides)
    x = x - x.mean()
    found: Array = x @ (0.5 * np.log(variances_SG)) / (x @ x)
    return found


def interval(values: Array) -> tuple[float, float]:
    """Mean of the groups' values and half the width of its 99 % interval."""
    return float(values.mean()), T_QUANTILE * float(values.std(ddof=1)) / sqrt(len(values))


def _field(spec: ConvGradientsSpec, sd: float, count: int, side: int, generator: torch.Generator) -> Tensor:
    own = _standard(spec, (count, side, side), generator)
    if spec.shared_variance == 0:
        return sd * own
    common = _standard(spec, (count, 1, 1), generator)
    return sd * (sqrt(1 - spec.shared_variance) * own + sqrt(spec.shared_variance) * common)


def _standard(spec: ConvGradientsSpec, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    if spec.distribution == "normal":
        return torch.randn(shape, generator=generator, dtype=torch.float64)
    return sqrt(3) * (2 * torch.rand(shape, generator=generator, dtype=torch.float64) - 1)
