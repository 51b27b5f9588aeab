"""Max and average pooling, 2 x 2 with stride 2: where gradients go and what is kept of a thin band.

Claim, for an 8 x 8 image and 1 and 2 layers, seed 0, float64 on one CPU core with torch 2.14.1, well under a second:

- dX by automatic differentiation equals the index formula; its sum is that of dY for both kinds; |dX|^2 is |dY|^2 for
  max and |dY|^2 / 4^L for average; max leaves one non-zero in each 2^L x 2^L block (16 and 4 in all), average fills it
  (64 and 64);
- four equal pixels: max pooling sends everything to the first, the maximum over an axis a quarter to each;
- a band one row wide keeps its height under max and 1/2^L of it under average; a single pixel keeps 1 and 1/4^L; for a
  band of 2.5 noise deviations the contrast over noise is 2.9 and 3.2 with max, 2.5 and 2.5 with average.
"""

import torch

from experiments.contract import Run, Stopped
from homework.experiments.pooling_gradients.backward import describe, pool, tie_shares
from homework.experiments.pooling_gradients.responses import draw_images, measure
from homework.experiments.pooling_gradients.spec import (
    Backward,
    Kind,
    PoolingGradientsResult,
    PoolingGradientsSpec,
    Response,
)

KINDS: tuple[Kind, Kind] = ("max", "average")


def run(spec: PoolingGradientsSpec, run: Run) -> PoolingGradientsResult:
    """Pull gradients back and pool noisy bands, for both kinds and 1 to L layers."""
    generator = torch.Generator().manual_seed(run.seed)
    n = spec.image_side
    image = torch.randn(n, n, generator=generator, dtype=torch.float64)
    noisy, clean = draw_images(spec, generator)
    backward: list[Backward] = []
    responses: list[Response] = []
    sides = [n // 2**levels for levels in range(1, spec.levels + 1)]
    upstreams = [torch.randn(side, side, generator=generator, dtype=torch.float64) for side in sides]
    for levels, upstream in enumerate(upstreams, start=1):
        if run.should_stop():
            raise Stopped(f"asked to stop before layer {levels}")
        gradients = [describe(image, upstream, kind, levels) for kind in KINDS]
        pooled = [measure(spec, noisy, clean, kind, levels) for kind in KINDS]
        run.metrics(levels, _values(gradients, pooled))
        run.progress(levels / spec.levels, f"{levels} of {spec.levels} layers")
        backward += gradients
        responses += pooled
    by_pooling, by_amax = tie_shares()
    return PoolingGradientsResult(
        upstreams=[upstream.tolist() for upstream in upstreams],
        backward=backward,
        tie_shares_max_pool=by_pooling,
        tie_shares_amax=by_amax,
        responses=responses,
        noisy_image=noisy[0].tolist(),
        pooled_max=pool(noisy[:1], "max", spec.levels)[0].tolist(),
        pooled_average=pool(noisy[:1], "average", spec.levels)[0].tolist(),
        largest_formula_difference=max(entry.formula_difference for entry in backward),
        largest_sum_deviation=max(abs(entry.sum_ratio - 1) for entry in backward),
        largest_norm_deviation=max(abs(entry.norm_ratio / entry.predicted_norm_ratio - 1) for entry in backward),
    )


def _values(gradients: list[Backward], pooled: list[Response]) -> dict[str, float]:
    values: dict[str, float] = {}
    for gradient, response in zip(gradients, pooled, strict=True):
        values[f"{gradient.kind}/norm_ratio"] = gradient.norm_ratio
        values[f"{gradient.kind}/nonzeros"] = gradient.nonzeros
        values[f"{gradient.kind}/contrast"] = response.contrast
        values[f"{gradient.kind}/contrast_to_noise"] = response.contrast_to_noise
    return values
