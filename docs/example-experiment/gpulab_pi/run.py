"""Throws the darts."""

import math

import torch

from experiments.contract import Run, Stopped
from gpulab_pi.spec import DartsResult, DartsSpec


def run(spec: DartsSpec, run: Run) -> DartsResult:
    """Estimate pi in rounds; raises `Stopped` when asked to."""
    generator = torch.Generator().manual_seed(run.seed)
    inside = thrown = 0
    estimates: list[float] = []
    for number in range(spec.rounds):
        if run.should_stop():
            raise Stopped(f"asked to stop after {number} of {spec.rounds} rounds")
        points = torch.rand(max(1, spec.darts // spec.rounds), 2, generator=generator, dtype=torch.float64)
        inside += int((points.square().sum(1) <= 1).sum())
        thrown += len(points)
        estimates.append(4 * inside / thrown)
        run.metrics(thrown, {"pi": estimates[-1]})
        run.progress((number + 1) / spec.rounds, f"{thrown} darts")
    share = inside / thrown
    return DartsResult(
        pi=estimates[-1], standard_error=4 * math.sqrt(share * (1 - share) / thrown), estimates=estimates
    )
