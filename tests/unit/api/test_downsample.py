"""Thinning keeps what the eye looks for."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.results.downsample import kept_indexes

VALUES = st.lists(st.floats() | st.none(), max_size=300)
LIMITS = st.integers(min_value=2, max_value=120)


@given(VALUES, LIMITS)
def test_kept_points_are_ordered_few_and_hold_both_ends(values: list[float | None], limit: int) -> None:
    kept = kept_indexes(values, limit)

    assert len(kept) <= max(limit, 0)
    assert all(before < after for before, after in pairwise(kept))
    assert all(0 <= index < len(values) for index in kept)
    if values:
        assert (kept[0], kept[-1]) == (0, len(values) - 1)


@given(VALUES, LIMITS)
def test_short_series_are_kept_whole(values: list[float | None], limit: int) -> None:
    if len(values) <= limit:
        assert kept_indexes(values, limit) == list(range(len(values)))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=300), st.integers(4, 120))
def test_extremes_of_the_whole_are_kept(values: list[float], limit: int) -> None:
    kept = [values[index] for index in kept_indexes(values, limit)]

    assert (min(kept), max(kept)) == (min(values), max(values))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=8, max_size=300), st.integers(4, 60))
def test_each_stretch_keeps_its_smallest_and_largest(values: list[float], limit: int) -> None:
    kept = kept_indexes(values, limit)
    if len(kept) == len(values):
        return
    buckets, inner = (limit - 2) // 2, len(values) - 2
    for bucket in range(buckets):
        stretch = range(1 + bucket * inner // buckets, 1 + (bucket + 1) * inner // buckets)
        here = [values[index] for index in kept if index in stretch]
        whole = [values[index] for index in stretch]
        assert not whole or (min(here), max(here)) == (min(whole), max(whole))


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, None])
def test_a_value_that_is_not_finite_survives(odd: float | None) -> None:
    values: list[float | None] = [1.0] * 1000
    values[517] = odd
    assert 517 in kept_indexes(values, 20)
