"""What would let a waiting job start sooner."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from api.jobs.start_sooner import BUSY, HELP, what_helps
from gpulab.states import WaitReason

DOCS = Path(__file__).parents[3] / "docs/scheduling.md"
PLAIN = {"wait_reason": WaitReason.NO_FREE_SLOT.value, "priority": "normal"}


@pytest.mark.parametrize(("ahead", "words"), [(1, "behind 1 job of your own"), (2, "behind 2 jobs of your own")])
def test_ones_own_jobs_in_front_are_counted(ahead: int, words: str) -> None:
    (advice,) = what_helps(SimpleNamespace(**PLAIN), own_ahead=ahead)
    assert words in advice


def test_nothing_helps_where_nothing_of_ones_own_is_in_the_way() -> None:
    assert what_helps(SimpleNamespace(**PLAIN), own_ahead=0) == []


def test_advice_is_kept_for_every_reason_that_something_helps_against() -> None:
    without = {WaitReason.NEXT_IN_LINE, WaitReason.NOT_WAITING}
    assert HELP.keys() | BUSY | without == set(WaitReason)


def test_every_reason_is_explained_in_the_docs() -> None:
    rows = [line.split("|")[1] for line in DOCS.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert set(WaitReason) <= {name for row in rows for name in row.replace("`", "").replace(",", " ").split()}


def test_a_reason_as_the_database_gives_it_finds_its_advice() -> None:
    job = SimpleNamespace(wait_reason="estimating", priority="normal")
    assert "gpu_memory_bytes" in what_helps(job, own_ahead=0)[0]
