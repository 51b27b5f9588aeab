"""The cards of a notebook and the images in them."""

import re
import subprocess
import sys
from collections import deque
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest

import gpulab
from gpulab.client.notebook import svg
from gpulab.client.notebook.cards import job_card, study_card
from gpulab.schemas import SeriesRead, StudyRead
from tests.unit.gpulab.stub_lab import NOW, TOKEN, StubLab, make_job, series, unavailable


def curve(values: list[float | None], **more: Any) -> ET.Element:
    return ET.fromstring(svg.curve(SeriesRead.model_validate(series("loss", values, **more))))  # noqa: S314 - our own


def places(picture: ET.Element) -> list[list[tuple[float, float]]]:
    lines = [line.attrib["points"] for line in picture.iter("polyline")]
    return [[(float(x), float(y)) for x, y in (place.split(",") for place in line.split())] for line in lines]


def test_curve_fills_its_picture_exactly() -> None:
    (line,) = places(curve([3.0, 1.0, 2.0]))
    assert line == [
        (svg.LEFT, svg.TOP),
        ((svg.LEFT + svg.RIGHT) / 2, svg.BOTTOM),
        (svg.RIGHT, (svg.TOP + svg.BOTTOM) / 2),
    ]


def test_words_of_a_picture_stand_beside_its_line() -> None:
    picture = curve([3.0, 1.0, 2.0])
    words = {text.text: (float(text.attrib["x"]), float(text.attrib["y"])) for text in picture.iter("text")}
    assert [words["loss: 2"][1] < svg.TOP, words["3"][0] > svg.RIGHT, words["1"][0] > svg.RIGHT] == [True] * 3
    assert words["step 0"][1] > svg.BOTTOM
    assert words["2"] == (svg.RIGHT, words["step 0"][1]), "the last step ends where the line does"


def test_curve_breaks_where_a_value_is_not_finite_and_says_so() -> None:
    picture = curve([3.0, 2.0, None, 1.0, 0.0], nonfinite={"2": "inf"})
    assert [len(line) for line in places(picture)] == [2, 2]
    assert picture.attrib["aria-label"] == "loss: 0 (1 not finite)"


@pytest.mark.parametrize("values", [[], [None], [1.0], [2.0, 2.0], [1e308, -1e308]])
def test_curve_of_hardly_anything_is_a_picture_all_the_same(values: list[float | None]) -> None:
    picture = curve(values, nonfinite={"0": "nan"} if values == [None] else {})
    assert not re.search(r"nan|inf", " ".join(shape.attrib.get("points", "") for shape in picture.iter()))


def test_intervals_draw_a_mean_and_its_deviation() -> None:
    picture = ET.fromstring(svg.intervals("loss by rate", [(0.5, 2.0, 0.0), (0.0, 1.0, 1.0)]))  # noqa: S314 - our own
    (line,) = places(picture)
    assert [x for x, _ in line] == [svg.LEFT, svg.RIGHT], "in order of the swept field"
    bars = [bar.attrib for bar in picture.iter("line") if bar.attrib["x1"] == bar.attrib["x2"]]
    assert [(bar["y1"], bar["y2"]) for bar in bars] == [(f"{svg.BOTTOM:.1f}", f"{svg.TOP:.1f}")]


def test_card_escapes_names_of_metrics_and_says_how_many_are_left_out() -> None:
    many = [SeriesRead.model_validate(series(f"<b>{number}", [1.0, 2.0])) for number in range(14)]
    card = job_card(make_job(state="running"), many)
    assert "<b>0" not in card
    assert card.count("<svg") == 12
    assert "2 more metrics" in card


def study(**facts: Any) -> StudyRead:
    def cell(dropout: float, mean: float) -> dict[str, Any]:
        statistic = {"mean": mean, "sd": 0.1, "min": mean, "max": mean, "n": 3}
        usual: dict[str, Any] = {"experiment": "echo", "runs": 3, "job_ids": [], "collapsed": [], "failed": []}
        return usual | {"cell": {"dropout": dropout}, "states": {"succeeded": 2}, "fields": {"loss": statistic}}

    usual: dict[str, Any] = {
        "id": make_job().id,
        "template": None,
        "scale": None,
        "title": "<grid>",
        "name": None,
        "owner": "ada",
        "state": "running",
        "runs": 6,
        "reused": 0,
        "states": {"succeeded": 4, "running": 2},
        "progress": 0.5,
        "created_at": NOW,
        "cancelled_at": None,
        "report_job_id": None,
        "seeds": [0, 1, 2],
        "notes": ["a <note>"],
        "questions": [],
        "comparison": [cell(0.1, 1.0), cell(0.5, 2.0)],
    }
    return StudyRead.model_validate(usual | facts)


def test_study_shows_its_table_its_sweep_and_its_pictures() -> None:
    card = study_card(study(), {"a&b.png": b"PNG"})
    assert "&lt;grid&gt;" in card
    assert "a &lt;note&gt;" in card
    assert ">2 of 3</td>" in card
    assert ">1 ± 0.1</td>" in card
    assert 'aria-label="loss by dropout"' in card
    assert 'src="data:image/png;base64,UE5H" alt="a&amp;b"' in card


def test_experiment_is_named_above_its_table_alone() -> None:
    several = study().comparison
    for cell in several:
        cell.cell["experiment"] = "echo"
    card = study_card(study(comparison=[cell.model_dump() for cell in several]))
    assert "<b>echo</b>" in card
    assert ">experiment</th>" not in card


def test_card_looks_again_until_the_job_is_final(client: gpulab.Client, stub: StubLab) -> None:
    job = client.job(stub.add(state="running").id)
    stub.series = [series("loss", [1.0, 2.0])]
    stub.change(job.id, state="succeeded")
    assert "succeeded</span> 100%" in job._repr_html_()
    assert job.state == "succeeded"
    asked = len(stub.requests)
    assert 'aria-label="loss: 2"' in job._repr_html_()
    assert [request.url.path.rpartition("/")[2] for request in stub.requests[asked:]] == ["metrics"]


def test_card_of_a_lab_that_is_away_shows_what_was_seen_and_why(client: gpulab.Client, stub: StubLab) -> None:
    job = client.job(stub.add(state="running", name="mine").id)
    stub.faults.append(unavailable)
    card = job._repr_html_()
    assert "<b>mine</b>" in card
    assert "not answering" in card


class Notebook:
    """Stands in for IPython: one place, drawn over."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def display(self, page: Any, *, display_id: bool) -> "Notebook":
        assert display_id
        self.shown.append(page)
        return self

    def update(self, page: Any) -> None:
        self.shown.append(page)


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Notebook:
    made = Notebook()
    monkeypatch.setitem(sys.modules, "IPython.core.getipython", SimpleNamespace(get_ipython=object))  # type: ignore[arg-type]
    display = SimpleNamespace(HTML=str, display=made.display)
    monkeypatch.setitem(sys.modules, "IPython.display", display)  # type: ignore[arg-type]
    return made


def test_live_card_is_drawn_over_until_the_end_and_through_a_restart(
    client: gpulab.Client, stub: StubLab, notebook: Notebook
) -> None:
    job = client.job(stub.add({"state": "running"}, {"state": "succeeded"}).id)

    def answered(request: httpx.Request) -> httpx.Response:
        left, stub.faults = stub.faults, deque()
        try:
            return stub.handle(request)
        finally:
            stub.faults = left

    # The first look is the job and its metrics.
    stub.faults.extend([answered, answered, unavailable])
    assert job.live() is None
    states = [re.findall(r">(\w+)</span> \d+%", card)[0] for card in notebook.shown]
    assert states[0] == "queued"
    assert states[-1] == "succeeded"
    assert any("not answering" in card for card in notebook.shown)
    assert "not answering" not in notebook.shown[-1]
    assert job.state == "succeeded"


def test_live_outside_a_notebook_prints_a_line_a_change(
    client: gpulab.Client, stub: StubLab, capsys: pytest.CaptureFixture[str]
) -> None:
    job = client.job(stub.add({"state": "running"}, {"state": "succeeded"}).id)
    job.live()
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()] == ["queued>", "running>", "succeeded>"]


def test_live_ends_when_time_is_up(client: gpulab.Client, stub: StubLab) -> None:
    with pytest.raises(gpulab.WaitTimeout, match="continues in the lab"):
        client.job(stub.add(state="running").id).live(timeout=0)


def test_importing_the_client_loads_no_notebook() -> None:
    code = f"import sys, gpulab; gpulab.Client('http://lab', {TOKEN!r}); sys.exit('IPython' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
