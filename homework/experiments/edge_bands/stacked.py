"""Many small convolutions at once: one set of kernels and one batch of images for each replica.

Axes: R replicas, B images, C input channels, O output channels, k kernel side, Y X pixels, N tiles.

A grouped convolution with three channels a group gains nothing on a CPU. Here an image is cut into overlapping
tiles, and the kernels are written along the diagonals of a matrix that takes a tile of inputs to a tile of outputs, so
that all replicas meet in one batched matrix product with inner dimensions of a hundred or more.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

CELL_AXIS = 4
"""Of what `tiled_convolution` returns."""


def tiled_convolution(padded: Tensor, kernels: Tensor, tile: tuple[int, int], cell: int = 1) -> Tensor:
    """Cross-correlate `padded` (R, B, C, Y + k - 1, X + k - 1) with `kernels` (R, O, C, k, k), without bias.

    Returns (R, B, Y / y, X / x, cell^2, O, y / cell, x / cell), the output tile by tile; the axis of cell^2 holds the
    pixels of one `cell` x `cell` block, which pooling makes one.
    """
    replicas, images, _, padded_y, padded_x = padded.shape
    channels, side = kernels.shape[1], kernels.shape[3]
    y, x = tile
    rows, columns = (padded_y - side + 1) // y, (padded_x - side + 1) // x
    inputs = _Tiles.apply(padded, side, tile).reshape(replicas, images * rows * columns, -1)
    matrix = _Diagonals.apply(kernels, tile, cell).reshape(replicas, -1, channels * y * x)
    outputs = torch.bmm(inputs, matrix)
    return outputs.reshape(replicas, images, rows, columns, cell**2, channels, y // cell, x // cell)


def join_tiles(tiles: Tensor) -> Tensor:
    """(R, B, rows, columns, O, y, x) to (R, B, O, rows * y, columns * x)."""
    replicas, images, rows, columns, channels, y, x = tiles.shape
    return tiles.permute(0, 1, 4, 2, 5, 3, 6).reshape(replicas, images, channels, rows * y, columns * x)


def pool_maximum(x: Tensor) -> Tensor:
    """The largest along the axis of 2 x 2 cells; of equal ones, the first gets the gradient."""
    return _Maximum.apply(x)  # type: ignore[no-any-return]  # torch types apply as Any


def pool_average(x: Tensor) -> Tensor:
    """The mean along the axis of 2 x 2 cells."""
    return x.mean(CELL_AXIS)


class _Diagonals(torch.autograd.Function):
    """(R, O, C, k, k) to (R, C, y + k - 1, x + k - 1, cell, cell, O, y / cell, x / cell).

    That is what each pixel of an input tile adds to each output of the tile.
    """

    @staticmethod
    def forward(ctx: Any, kernels: Tensor, tile: tuple[int, int], cell: int) -> Tensor:
        replicas, outputs, inputs, side, _ = kernels.shape
        y, x = tile[0] // cell, tile[1] // cell
        shape = (replicas, inputs, tile[0] + side - 1, tile[1] + side - 1, cell, cell, outputs, y, x)
        matrix = kernels.new_zeros(shape)
        r, c, in_y, in_x, cell_y, cell_x, o, out_y, out_x = matrix.stride()
        # Output (i, j) reads input (i + a, j + b) with weight (a, b): one step along i moves along both axes.
        ctx.diagonals = (
            (replicas, outputs, inputs, side, side, y, cell, x, cell),
            (r, o, c, in_y, in_x, cell * in_y + out_y, in_y + cell_y, cell * in_x + out_x, in_x + cell_x),
        )
        matrix.as_strided(*ctx.diagonals).copy_(kernels[..., None, None, None, None].expand(ctx.diagonals[0]))
        return matrix

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient.contiguous().as_strided(*ctx.diagonals).sum((-1, -2, -3, -4)), None, None


class _Tiles(torch.autograd.Function):
    """(R, B, C, Y + k - 1, X + k - 1) to (R, B, rows, columns, C, y + k - 1, x + k - 1)."""

    @staticmethod
    def forward(ctx: Any, padded: Tensor, side: int, tile: tuple[int, int]) -> Tensor:
        ctx.shape, ctx.side, ctx.tile = padded.shape, side, tile
        y, x = tile
        windows = padded.unfold(3, y + side - 1, y).unfold(4, x + side - 1, x)
        return windows.permute(0, 1, 3, 4, 2, 5, 6).contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        padded = gradient.new_zeros(ctx.shape)
        (y, x), side = ctx.tile, ctx.side
        for row in range(gradient.shape[2]):
            for column in range(gradient.shape[3]):
                part = padded[..., row * y : row * y + y + side - 1, column * x : column * x + x + side - 1]
                part += gradient[:, :, row, column]
        return padded, None, None


class _Maximum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        a, b, c, d = x.unbind(CELL_AXIS)
        upper, lower = torch.maximum(a, b), torch.maximum(c, d)
        ctx.save_for_backward(a >= b, c >= d, upper >= lower)
        return torch.maximum(upper, lower)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        first_of_upper, first_of_lower, is_upper = ctx.saved_tensors
        shape = (*gradient.shape[:CELL_AXIS], 4, *gradient.shape[CELL_AXIS:])
        result = gradient.new_empty(shape)
        a, b, c, d = result.unbind(CELL_AXIS)
        upper = gradient * is_upper
        lower = gradient - upper
        torch.sub(upper, torch.mul(upper, first_of_upper, out=a), out=b)
        torch.sub(lower, torch.mul(lower, first_of_lower, out=c), out=d)
        return result
