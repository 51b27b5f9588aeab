"""The page on the emulator shows the cards that were measured, or says that none was."""

from typing import Any

import pytest

from benchmarks import render_real
from benchmarks.markers import between
from emulator.cards import card


def found(name: str = "Tesla T4") -> dict[str, Any]:
    same = {"model": "resnet18", "batch_size": 4, "optimizer": "adam", "allocated_bytes": 2**20}
    emulated = {"emulated_allocated_bytes": 2**20, "emulated_reserved_bytes": 3 * 2**20}
    refused = dict.fromkeys(("allocated_bytes", "reserved_bytes"))
    return {
        "machine": {"packages": {"torch": "2.14.1"}},
        "card": name,
        "tests": "23 passed in 9.00s",
        "context_bytes": 200 * 2**20,
        "cases": [same | {"reserved_bytes": 2**21} | emulated, {"model": "vit_b_16"} | refused],
    }


def test_page_shows_the_committed_results() -> None:
    page = render_real.PAGE.read_text()
    assert render_real.rendered(page, render_real.measured()) == page


def test_a_measured_card_is_shown_byte_by_byte() -> None:
    page = render_real.rendered(render_real.PAGE.read_text(), [found(), found("NVIDIA X9")])
    assert "No card has been measured" not in page
    guess = card("T4").generation.context_bytes // 2**20
    tests = "**Tesla T4**, torch 2.14.1. `tests/gpu`: 23 passed in 9.00s."
    assert f"{tests} Context: 200 MiB (the emulator's guess is {guess})" in page
    assert "**NVIDIA X9**" in page
    assert "| resnet18, 4, adam | allocated | 1.0 | 1.0 | +0 bytes (+0.00%) |" in page
    assert "| resnet18, 4, adam | reserved | 2.0 | 3.0 | +1,048,576 bytes (+50.00%) |" in page
    assert "| vit_b_16 | reserved | does not run | does not run |  |" in page
    assert render_real.rendered(page, []) == render_real.PAGE.read_text()


def test_a_page_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="real: begin"):
        between("# A page", "real", ["text"])
