"""Holding two results together."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.assignments.comparison import compare, differing_versions

RESULTS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text("abc", min_size=1), below, max_size=4),
    max_leaves=15,
)


@given(RESULTS)
def test_result_is_the_same_as_itself(result: Any) -> None:
    assert compare(result, result, 0.0)[0] == []


@given(RESULTS, RESULTS, st.floats(0, 1))
def test_any_two_results_are_compared_alike_from_both_sides(first: Any, second: Any, tolerance: float) -> None:
    there, judged = compare(first, second, tolerance)
    back, judged_back = compare(second, first, tolerance)
    assert judged == judged_back
    assert [one.path for one in there] == [one.path for one in back]


@pytest.mark.parametrize(
    ("pinned", "again", "paths"),
    [
        ({"a": 1.0}, {"a": 1.0000001}, []),
        ({"a": 1.0}, {"a": 1.1}, ["a"]),
        ({"a": 0.0}, {"a": 1e-30}, ["a"]),
        ({"a": 1}, {"a": True}, ["a"]),
        ({"a": [1, 2]}, {"a": [1, 2, 3]}, ["a"]),
        ({"a": {"b": None}}, {"a": {"b": 0.0}}, ["a.b"]),
        ({"a": 1}, {}, ["a"]),
        ({"a": "x"}, {"a": "y"}, ["a"]),
        ([[1.0, 2.0]], [[1.0, 3.0]], ["0.1"]),
        (1.0, None, ["result"]),
    ],
)
def test_what_differs_is_named(pinned: Any, again: Any, paths: list[str]) -> None:
    assert [one.path for one in compare(pinned, again, 1e-6)[0]] == paths


def test_measurements_of_the_machine_are_told_and_not_judged() -> None:
    pinned = {"loss": 1.0, "elapsed_seconds": 1.0, "memory": {"peak_bytes": 5}, "images_per_second": 3.0}
    again = {"loss": 1.0, "elapsed_seconds": 2.0, "memory": {"peak_bytes": 6}, "images_per_second": 4.0}
    differences, judged = compare(pinned, again, 0.0)
    assert judged == 1
    assert {one.path: one.judged for one in differences} == {
        "elapsed_seconds": False,
        "memory.peak_bytes": False,
        "images_per_second": False,
    }


def test_differences_that_count_are_told_first() -> None:
    pinned = {f"a{i:03}_seconds": 0.0 for i in range(200)} | {"loss": 1.0}
    again = {name: value + 1 for name, value in pinned.items()}
    differences, _ = compare(pinned, again, 0.0)
    assert (len(differences), differences[0].path) == (100, "loss")


def test_versions_that_differ_are_named() -> None:
    found = differing_versions({"torch": "2.1", "numpy": "2.0"}, {"torch": "2.2", "numpy": "2.0", "cuda": "13"})
    assert [(one.name, one.pinned, one.again) for one in found] == [("cuda", None, "13"), ("torch", "2.1", "2.2")]
