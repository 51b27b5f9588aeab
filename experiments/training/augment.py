"""Random changes of training images, a batch at once on the device. Shapes: B images, C channels, H x W pixels."""

import torch
from torch import Tensor
from torch.nn import functional


def flip(x_BCHW: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror each image left to right with probability one half; `generator` is a CPU one."""
    mirrored_B = torch.rand(len(x_BCHW), generator=generator).lt(0.5).to(x_BCHW.device)
    return torch.where(mirrored_B[:, None, None, None], x_BCHW.flip(-1), x_BCHW)


def crop(x_BCHW: Tensor, padding: int, generator: torch.Generator) -> Tensor:
    """Shift each image by up to `padding` pixels each way; what comes in from outside is 0."""
    B, C, H, W = x_BCHW.shape
    padded_BCHW = functional.pad(x_BCHW, (padding,) * 4)
    shift_2B = torch.randint(2 * padding + 1, (2, B), generator=generator).to(x_BCHW.device)
    rows_BH = shift_2B[0, :, None] + torch.arange(H, device=x_BCHW.device)
    columns_BW = shift_2B[1, :, None] + torch.arange(W, device=x_BCHW.device)
    chosen = padded_BCHW.gather(2, rows_BH[:, None, :, None].expand(B, C, H, W + 2 * padding))
    return chosen.gather(3, columns_BW[:, None, None, :].expand(B, C, H, W))
