"""Gradients through pooling, by automatic differentiation and written out.

2 x 2, stride 2, windows (rows 2a-1, 2a) x (columns 2b-1, 2b). With (a, b) = (ceil(i/2), ceil(j/2)) the one window of
pixel (i, j): max sends dx_ij = dy_ab to the window's first maximum in row order and 0 elsewhere; average sends
dx_ij = dy_ab / 4 everywhere. Float64 throughout.
"""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d

from homework.experiments.pooling_gradients.spec import Backward, Kind


def pool(images: Tensor, kind: Kind, levels: int) -> Tensor:
    """Pool images, shape (N, H, W), `levels` times."""
    for _ in range(levels):
        images = (max_pool2d if kind == "max" else avg_pool2d)(images[:, None], 2)[:, 0]
    return images


def pull_back(image: Tensor, upstream: Tensor, kind: Kind, levels: int) -> Tensor:
    """dX for an image (n, n) and dY (n / 2^levels, n / 2^levels), by automatic differentiation."""
    leaf = image.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(pool(leaf[None], kind, levels)[0], leaf, upstream)
    return gradient


def pull_back_by_formula(image: Tensor, upstream: Tensor, kind: Kind, levels: int) -> Tensor:
    """The same from the index formula, one layer after another."""
    inputs = [image]
    for _ in range(levels - 1):
        windows = windows_of(inputs[-1])
        inputs.append(windows.amax(-1) if kind == "max" else windows.mean(-1))
    for layer_input in reversed(inputs):
        windows = windows_of(layer_input)
        if kind == "max":
            share = torch.nn.functional.one_hot(windows.argmax(-1), 4).to(image.dtype)
        else:
            share = torch.full_like(windows, 0.25)
        upstream = image_of(share * upstream[..., None])
    return upstream


def windows_of(image: Tensor) -> Tensor:
    """The four pixels of every window, (n, n) -> (n/2, n/2, 4), row by row."""
    half = len(image) // 2
    return image.reshape(half, 2, half, 2).permute(0, 2, 1, 3).reshape(half, half, 4)


def image_of(windows: Tensor) -> Tensor:
    """The inverse of `windows_of`."""
    half = len(windows)
    return windows.reshape(half, half, 2, 2).permute(0, 2, 1, 3).reshape(2 * half, 2 * half)


def describe(image: Tensor, upstream: Tensor, kind: Kind, levels: int) -> Backward:
    """Everything countable about dX."""
    gradient = pull_back(image, upstream, kind, levels)
    by_formula = pull_back_by_formula(image, upstream, kind, levels)
    block = 2**levels
    blocks = len(image) // block
    counts = (gradient != 0).reshape(blocks, block, blocks, block).sum(dim=(1, 3))
    return Backward(
        kind=kind,
        levels=levels,
        gradient=gradient.tolist(),
        formula_difference=float((gradient - by_formula).abs().max() / gradient.abs().max()),
        nonzeros=int(counts.sum()),
        fewest_nonzeros_in_block=int(counts.min()),
        most_nonzeros_in_block=int(counts.max()),
        sum_ratio=float(gradient.sum() / upstream.sum()),
        norm_ratio=float(gradient.square().sum() / upstream.square().sum()),
        predicted_norm_ratio=1.0 if kind == "max" else 0.25**levels,
    )


def tie_shares() -> tuple[list[float], list[float]]:
    """How four equal pixels share their window's gradient: by max pooling, and by the maximum over an axis."""
    equal = torch.zeros(2, 2, dtype=torch.float64)
    pooled = pull_back(equal, torch.ones(1, 1, dtype=torch.float64), "max", 1)
    leaf = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    (shared,) = torch.autograd.grad(leaf.amax(), leaf)
    return pooled.ravel().tolist(), shared.tolist()
