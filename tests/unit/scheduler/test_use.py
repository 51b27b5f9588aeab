"""Decayed use: bounded, additive, and forgotten by half."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.planning.use import aged, committed, decayed

SECONDS = st.floats(0, 1e8)
SHARES = st.floats(0, 1)


@given(SHARES, SECONDS, SECONDS, st.floats(60, 1e7))
def test_decayed_use_is_bounded_by_what_was_held_and_by_the_half_life(
    share: float, held: float, ended_ago: float, half_life: float
) -> None:
    used = decayed(share, ended_ago + held, ended_ago, half_life)
    slack = 1e-6 * half_life
    assert -slack <= used <= min(share * held, half_life / math.log(2)) + slack


@given(SHARES, SECONDS, SECONDS, SECONDS)
def test_use_of_two_stretches_is_that_of_the_whole_and_ages_alike(
    share: float, first: float, second: float, after: float
) -> None:
    whole = decayed(share, first + second, 0, 86_400)
    parts = decayed(share, first + second, second, 86_400) + decayed(share, second, 0, 86_400)
    assert parts == pytest.approx(whole, abs=1e-3)
    assert aged(whole, after, 86_400) == pytest.approx(decayed(share, first + second + after, after, 86_400), abs=1e-3)


def test_running_job_counts_for_its_foresight_and_then_for_what_it_held() -> None:
    assert committed(0.5, held_seconds=1, time_limit_seconds=3600, foresight_seconds=600) == 300
    assert committed(0.5, held_seconds=1, time_limit_seconds=60, foresight_seconds=600) == 30
    assert committed(0.5, held_seconds=900, time_limit_seconds=3600, foresight_seconds=600) == 450
