"""What pooling keeps of a thin horizontal band, of a spike, and of noise.

Without noise a band of one row keeps its height under max pooling and 1/2^L of it under L layers of average pooling, a
single pixel 1 and 1/4^L. Average pooling divides the standard deviation of independent noise by 2^L. Shapes: N images
of (n, n).
"""

from math import sqrt

import torch
from torch import Tensor

from homework.experiments.pooling_gradients.backward import pool
from homework.experiments.pooling_gradients.spec import Kind, PoolingGradientsSpec, Response


def draw_images(spec: PoolingGradientsSpec, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Noisy images (N, n, n) and the same without noise."""
    n = spec.band_side
    starts = torch.randint(n - spec.band_width + 1, (spec.images,), generator=generator)
    clean = bands(spec, starts)
    noise = torch.randn(spec.images, n, n, generator=generator, dtype=torch.float64)
    return clean + spec.noise_sd * noise, clean


def bands(spec: PoolingGradientsSpec, starts: Tensor) -> Tensor:
    """Images with a band that begins at the given rows, shape (len(starts), n, n)."""
    row = torch.arange(spec.band_side)
    inside = (row >= starts[:, None]) & (row < starts[:, None] + spec.band_width)
    return spec.band_height * inside[:, :, None].double().expand(-1, -1, spec.band_side)


def measure(spec: PoolingGradientsSpec, noisy: Tensor, clean: Tensor, kind: Kind, levels: int) -> Response:
    """The response of one kind of pooling after `levels` layers."""
    everywhere = bands(spec, torch.arange(spec.band_side - spec.band_width + 1))
    kept = pool(everywhere, kind, levels).amax(dim=(1, 2)) / spec.band_height
    spike = torch.zeros(1, spec.band_side, spec.band_side, dtype=torch.float64)
    spike[0, 0, 0] = 1.0
    contrasts, noise_sd = _contrasts(noisy, clean, kind, levels)
    contrast = float(contrasts.mean())
    return Response(
        kind=kind,
        levels=levels,
        band_kept=float(kept.mean()),
        band_kept_least=float(kept.min()),
        spike_kept=float(pool(spike, kind, levels).max()),
        contrast=contrast,
        contrast_standard_error=float(contrasts.std()) / sqrt(len(contrasts)),
        noise_sd=noise_sd,
        contrast_to_noise=contrast / noise_sd,
    )


def _contrasts(noisy: Tensor, clean: Tensor, kind: Kind, levels: int) -> tuple[Tensor, float]:
    """Contrast of every image, shape (N,), and the standard deviation of the background cells."""
    pooled = pool(noisy, kind, levels)
    # The averaged clean image shows how much of the band a pooled row holds; the first fullest row is the band's.
    share_NR = pool(clean, "average", levels)[:, :, 0]
    band_row = share_NR.argmax(dim=1)
    background = (share_NR == 0)[:, :, None].expand_as(pooled)
    band_mean = pooled[torch.arange(len(pooled)), band_row].mean(dim=1)
    background_mean = (pooled * background).sum(dim=(1, 2)) / background.sum(dim=(1, 2))
    return band_mean - background_mean, float(pooled[background].std())
