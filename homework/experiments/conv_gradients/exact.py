"""The gradient of one convolution, exactly: y_ij = b + sum_hl x_{i+h-1, j+l-1} w_hl, i, j = 1..m, m = n - k + 1.

dw_hl = sum_ij dy_ij x_{i+h-1, j+l-1} and db = sum_ij dy_ij for any loss of Y (chain rule). The loss here is
sum log cosh(y - t), curved enough that finite differences test something. Float64 throughout.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import conv2d, softplus

from homework.experiments.conv_gradients.spec import ConvGradientsSpec

STEP = 1e-5


@dataclass(frozen=True, slots=True)
class Gradients:
    """One image with everything the chain rule says about it."""

    image: Tensor
    """X, shape (n, n)."""
    upstream: Tensor
    """dY, shape (m, m)."""
    weight: Tensor
    """dw by automatic differentiation, shape (k, k)."""
    bias: Tensor
    """db by automatic differentiation, a scalar."""
    weight_by_differences: Tensor
    """dw by central finite differences, shape (k, k)."""
    bias_by_differences: float
    """db by a central finite difference."""


@dataclass(frozen=True, slots=True)
class Training:
    """What SGD did to a kernel, and the same as a sum of patches."""

    change: Tensor
    """w after minus w before, shape (k, k)."""
    patch_sum: Tensor
    """The sum of patches with their coefficients, shape (k, k)."""
    coefficients: Tensor
    """-learning_rate dy of every step and position, shape (steps * m^2,)."""


def correlate(image: Tensor, kernel: Tensor) -> Tensor:
    """Valid cross-correlation of two matrices."""
    return conv2d(image[None, None], kernel[None, None])[0, 0]


def log_cosh(residual: Tensor) -> Tensor:
    """Sum of log cosh, without overflow."""
    size = residual.abs()
    return (size + softplus(-2 * size) - torch.log(torch.tensor(2.0, dtype=residual.dtype))).sum()


def check_gradients(spec: ConvGradientsSpec, generator: torch.Generator) -> Gradients:
    """Differentiate one random problem in every way."""
    n, k = spec.image_side, spec.kernel_side
    image, weight, bias = _normal(generator, n, n), _normal(generator, k, k), _normal(generator)
    target = _normal(generator, n - k + 1, n - k + 1)
    output = correlate(image, weight.requires_grad_()) + bias.requires_grad_()
    dW, db, dY = torch.autograd.grad(log_cosh(output - target), (weight, bias, output))

    @torch.no_grad()
    def slope(shift: Tensor, lift: float) -> float:
        ends = [log_cosh(correlate(image, weight + sign * shift) + bias + sign * lift - target) for sign in (1, -1)]
        return float(ends[0] - ends[1]) / (2 * STEP)

    directions = STEP * torch.eye(k * k, dtype=torch.float64).reshape(k * k, k, k)
    return Gradients(
        image=image,
        upstream=dY,
        weight=dW,
        bias=db,
        weight_by_differences=torch.tensor([slope(d, 0.0) for d in directions], dtype=torch.float64).reshape(k, k),
        bias_by_differences=slope(torch.zeros(k, k, dtype=torch.float64), STEP),
    )


def train(spec: ConvGradientsSpec, generator: torch.Generator) -> Training:
    """SGD on a new image each step, by automatic differentiation; the patches are summed beside it."""
    n, k = spec.image_side, spec.kernel_side
    weight = _normal(generator, k, k).requires_grad_()
    start = weight.detach().clone()
    optimizer = torch.optim.SGD([weight], lr=spec.learning_rate)
    patch_sum, coefficients = torch.zeros_like(start), []
    for _ in range(spec.steps):
        image, target = _normal(generator, n, n), _normal(generator, n - k + 1, n - k + 1)
        output = correlate(image, weight)
        (weight.grad,) = torch.autograd.grad(log_cosh(output - target), weight)
        optimizer.step()
        # The derivative of log cosh is tanh, so dY needs no help from the differentiation under test.
        coefficient = -spec.learning_rate * torch.tanh(output.detach() - target)
        patches = image.unfold(0, k, 1).unfold(1, k, 1)
        patch_sum += torch.einsum("ij,ijhl->hl", coefficient, patches)
        coefficients.append(coefficient.ravel())
    return Training(weight.detach() - start, patch_sum, torch.cat(coefficients))


def _normal(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64)
