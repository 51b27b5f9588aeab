"""The page on GPU memory is what its results say, and predictions are as near as the lab promises."""

import re

from benchmarks import render_memory
from benchmarks.predictor import MODELS, summary

PROMISED_ERROR = 0.005
"""Of the peak of reserved bytes, at the 95th percentile."""


def test_page_shows_the_committed_results() -> None:
    page = render_memory.PAGE.read_text()
    assert render_memory.rendered(page, render_memory.measured()) == page


def test_page_has_no_placeholder() -> None:
    assert not re.findall(r"\b[A-Z]{4,}_[A-Z_]+\b", render_memory.PAGE.read_text())


def test_results_cover_the_models_and_keep_the_promise() -> None:
    cases = render_memory.measured()["cases"]
    assert {case["model"] for case in cases} == set(MODELS)
    assert {case["optimizer"] for case in cases} == {"sgd", "sgd_momentum", "adam"}
    found = list(summary(cases))
    assert {card for card, *_ in found} == {"T4", "A100-40GB"}
    assert all(count >= 70 for _, _, count, *_ in found)
    assert all(high <= PROMISED_ERROR for *_, high, _ in found)


def test_summary_counts_what_is_equal_and_what_is_off() -> None:
    def case(predicted: int) -> dict[str, object]:
        taken = {"allocated_bytes": 100, "reserved_bytes": 200}
        return {"card": "T4", "taken": taken, "predicted": {"allocated_bytes": predicted, "reserved_bytes": 200}}

    allocated, reserved = summary([case(100), case(90), case(105)])
    assert allocated[:4] == ("T4", "allocated_bytes", 3, 1)
    assert allocated[4] == 0
    assert round(allocated[6], 6) == 0.1
    assert reserved[3:] == (3, 0, 0, 0)
