"""Draws the estimate over the rounds."""

import math
from collections.abc import Mapping

from matplotlib.figure import Figure

from gpulab_pi.spec import DartsResult, DartsSpec


def draw(spec: DartsSpec, result: DartsResult) -> Mapping[str, Figure]:
    """The figure `estimate`, which becomes the artifact `estimate.png`."""
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(range(1, spec.rounds + 1), result.estimates, label="estimate")
    axes.axhline(math.pi, color="black", linestyle=":", label="pi")
    axes.set(xlabel="round", ylabel="pi")
    axes.legend()
    return {"estimate": figure}
