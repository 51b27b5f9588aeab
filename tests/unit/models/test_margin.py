"""How much more than predicted is reserved."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.margin import MIN_MARGIN, PRIOR_RUNS, margin

shares = st.floats(min_value=-0.5, max_value=2.0)


@given(prior=shares)
def test_without_runs_the_interval_of_the_prediction_counts(prior: float) -> None:
    assert margin(prior, 0, None) == max(MIN_MARGIN, prior)


@given(prior=shares, excess=shares, runs=st.integers(min_value=1, max_value=200))
def test_lies_between_what_was_predicted_and_what_was_seen(prior: float, excess: float, runs: int) -> None:
    found = margin(prior, runs, excess)
    assert max(MIN_MARGIN, min(prior, excess)) - 1e-12 <= found <= max(MIN_MARGIN, prior, excess) + 1e-12


@pytest.mark.parametrize(("runs", "weight"), [(1, 1 / 21), (20, 1 / 2), (180, 9 / 10)])
def test_runs_gain_weight_against_the_prediction(runs: int, weight: float) -> None:
    assert PRIOR_RUNS == 20
    assert margin(0.2, runs, 0.1) == pytest.approx(0.2 + weight * (0.1 - 0.2))


def test_never_less_than_the_least() -> None:
    assert margin(-0.3, 200, -0.4) == MIN_MARGIN
