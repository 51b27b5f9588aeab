"""The tables of docs/scheduling.md are what the kept results say."""

import json

from benchmarks import simulation


def test_page_shows_the_kept_results() -> None:
    page, results = simulation.PAGE.read_text(), json.loads(simulation.RESULTS.read_text())
    assert simulation.rendered(page, results) == page
    assert "/work" not in simulation.RESULTS.read_text()
