"""The tour of docs/notebooks runs, cell by cell, in a real kernel on a real lab."""

import re
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.lab import ROOT, Lab

TOUR = ROOT / "docs" / "notebooks" / "tour.ipynb"


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tour_shows_cards_curves_tables_and_pictures(lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("GPULAB_URL", lab.url)
    monkeypatch.setenv("GPULAB_TOKEN", lab.token)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    # Nothing of the person's own: neither profile nor history.
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(TOUR, as_version=4)
    ran = NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    cards = [card for cell in ran.cells for card in _cards(cell)]

    live, resting = (card for card in cards if "dropout-linear, seed 1" in card)
    for card in (live, resting):
        assert "succeeded</span> 100%" in card
        assert re.search(r'aria-label="loss: [\d.e-]+"', card)
        assert len(re.findall(r"<polyline", card)) >= 1

    grid = next(card for card in cards if "more dropout" in card)
    assert "3 of 3" in grid
    assert " ± " in grid
    assert 'aria-label="train_loss by dropout"' in grid

    question = next(card for card in cards if "course/1b" in card)
    assert question.count('src="data:image/png;base64,') >= 1

    for card in cards:
        assert not re.search(r"https?://|<script", card), "a card stands alone"


def test_tour_is_kept_without_outputs() -> None:
    notebook = nbformat.read(TOUR, as_version=4)
    assert [cell.id for cell in notebook.cells if cell.get("outputs") or cell.get("execution_count")] == []


def _cards(cell: Any) -> list[str]:
    """What a cell shows as HTML at its end; a live card is one output that was drawn over."""
    return [output.data["text/html"] for output in cell.get("outputs", []) if "text/html" in output.get("data", {})]
