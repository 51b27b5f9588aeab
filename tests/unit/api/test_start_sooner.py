"""What would let a waiting job start sooner."""

from types import SimpleNamespace

import pytest

from api.jobs.start_sooner import what_helps

PLAIN = {"wait_reason": "no_free_slot", "priority": "normal"}


@pytest.mark.parametrize(("ahead", "words"), [(1, "behind 1 job of your own"), (2, "behind 2 jobs of your own")])
def test_ones_own_jobs_in_front_are_counted(ahead: int, words: str) -> None:
    (advice,) = what_helps(SimpleNamespace(**PLAIN), own_ahead=ahead)
    assert words in advice


def test_nothing_helps_where_nothing_of_ones_own_is_in_the_way() -> None:
    assert what_helps(SimpleNamespace(**PLAIN), own_ahead=0) == []
