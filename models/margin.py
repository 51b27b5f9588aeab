"""How much more than predicted is reserved, learned from what runs took.

A run's excess is measured / likely - 1, both of the device's peak. For a model family on a GPU model, let q be the
95th percentile of the excess of the last `RUNS` runs, n of them, and p the excess that the prediction itself allows
for: high end / likely - 1 of its interval. Reserved is likely * (1 + margin) with

    margin = max(MIN_MARGIN, (n * q + PRIOR_RUNS * p) / (n + PRIOR_RUNS)):

the interval's high end before the first run, what was seen after many, and a single odd run moves it by a twentieth.
"""

PRIOR_RUNS = 20
"""The weight of the prediction's own interval, in runs."""
RUNS = 200
"""The latest of a family on a GPU model that count."""
QUANTILE = 0.95
MIN_MARGIN = 0.02
"""Never less, however well it went: below the resolution of a driver's reading in small runs."""


def margin(prior: float, runs: int, excess: float | None) -> float:
    """The share of the likely peak to add. `excess` is q above, null without `runs`."""
    if excess is None:
        return max(MIN_MARGIN, prior)
    return max(MIN_MARGIN, (runs * excess + PRIOR_RUNS * prior) / (runs + PRIOR_RUNS))
