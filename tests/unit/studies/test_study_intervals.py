"""Student's t without scipy, and what an interval can tell."""

import pytest

from experiments.studies.intervals import Interval, interval, t_quantile


@pytest.mark.parametrize(
    ("confidence", "degrees", "expected"),
    [
        (0.95, 1, 12.7062),
        (0.95, 2, 4.30265),
        (0.95, 4, 2.77645),
        (0.95, 9, 2.26216),
        (0.99, 19, 2.86093),
        (0.999, 4, 8.61030),
        (0.999, 30, 3.64596),
        (0.95, 5000, 1.95996),
    ],
)
def test_quantiles_are_those_of_the_tables(confidence: float, degrees: int, expected: float) -> None:
    assert t_quantile(confidence, degrees) == pytest.approx(expected, rel=3e-4 if degrees > 2000 else 2e-6)


def test_interval_of_five_values() -> None:
    found = interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert (found.mean, found.n) == (3.0, 5)
    assert found.sd == pytest.approx(1.5811388)
    assert (found.low, found.high) == (pytest.approx(1.03676, abs=1e-5), pytest.approx(4.96324, abs=1e-5))


def test_single_value_has_no_width_and_no_sign() -> None:
    found = interval([0.3])
    assert found == Interval(mean=0.3, low=0.3, high=0.3, n=1, sd=None)
    assert found.sign == 0
    assert not found.holds(0.31)
    assert found.holds(0.31, tolerance=0.02)


def test_value_outside_what_is_shown_may_still_be_held() -> None:
    found = interval([0.9, 1.0, 1.1, 1.0, 1.0])
    outside = found.high + 0.01
    assert found.holds(outside)
    assert not found.holds(outside + 1)


def test_sign_needs_the_interval_on_one_side_of_zero() -> None:
    assert interval([0.1, 0.2, 0.3]).sign == 0
    assert interval([0.19, 0.2, 0.21]).sign == 1
    assert interval([-0.19, -0.2, -0.21]).sign == -1
