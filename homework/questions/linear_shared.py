"""What questions 1a to 1f share: their specs, the table of weights, and the figure of the loss."""

import math
from collections.abc import Sequence
from statistics import fmean

from experiments.studies.findings import FigureSpec, Plot, Series, Table
from experiments.studies.question import Need, Runs
from homework.questions.linear_theory import train_loss, weight

SLUG = "dropout-linear"
CLOSED_FORM = {"method": "closed_form"}
ITERATED = {"method": "gradient", "optimizer": "sgd", "bias": False}
EXACT = Need(SLUG, CLOSED_FORM, seeded=False)
EXACT_HALF = Need(SLUG, {**CLOSED_FORM, "dropout": 0.5}, seeded=False)


def weights_table(rows: Sequence[tuple[str, Runs]]) -> Table:
    """A row for each name, from the first of its runs."""
    return Table(
        caption="Weights found",
        columns=("run", "w1", "w2", "bias", "loss without dropout", "loss with dropout"),
        rows=tuple(
            (name, *result["weights"], result["bias"], result["clean_loss"], result["train_loss"])
            for name, runs in rows
            if (result := runs.first)
        ),
    )


def loss_figure(question: str, title: str, runs: Runs, *, log: bool) -> list[FigureSpec]:
    """All steps and the first hundred, of the first seed."""
    if runs.first is None:
        return []
    curve = runs.first["curve"]
    loss = tuple(max(value, 1e-30) for value in curve["loss"]) if log else tuple(curve["loss"])
    kind = "dots" if question == "1d" else "line"
    first = min(100, len(loss))
    plots = tuple(
        Plot(
            title=name,
            x_label="step",
            y_label="batch loss",
            y_log=log,
            series=(Series(label="loss", kind=kind, x=tuple(curve["steps"][:count]), y=loss[:count]),),
            level=None if log else train_loss(0.5),
            level_label="" if log else "least expected loss 40.33",
        )
        for name, count in (("All steps", len(loss)), (f"First {first} steps", first))
    )
    alt = f"{title}: from {loss[0]:.3g} at the start to {loss[-1]:.3g} at the end, seed {runs.outcomes[0].seed}."
    return [FigureSpec(name=f"{question}-loss", title=title, alt=alt, panels=plots)]


def is_the_mean(runs: Runs, place: int, mean: float) -> bool:
    """Whether the runs' mean lies within 3.3 standard errors (99.9 %); the standard deviation is known exactly."""
    values = runs.values(weight(place))
    sd: float = runs.results[0]["expected_weights_sd"][place]
    return abs(fmean(values) - mean) <= 3.3 * sd / math.sqrt(len(values))
