"""The report: stands alone, escapes what came from outside, names what is missing, and is a job like any other."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from pydantic import ValidationError

from experiments.contract import Stopped
from experiments.hosting.run_directory import RunDirectory
from experiments.internal.study_report.rendering import _markdown_cell, render_html, render_markdown
from experiments.internal.study_report.run import run as render
from experiments.internal.study_report.spec import EXPERIMENT, StudyReportSpec
from experiments.registry import experiments, runnable
from experiments.studies.findings import FigureSpec, Plot, Series
from experiments.studies.intervals import interval
from experiments.studies.outcome import RunOutcome
from experiments.studies.plan import RunPlan, Scale, StudyPlan, expand_grid
from experiments.studies.report import described, report, shown
from experiments.studies.report_job import report_spec
from experiments.studies.templates import expand
from homework.course import COURSE

Finish = Callable[[Sequence[RunPlan]], list[RunOutcome]]
HOSTILE = "<script>alert(1)</script>|`x`"


class Tags(HTMLParser):
    """Collects every start tag with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.found if tag == name]


def rendered(folder: Path, spec: dict[str, Any]) -> Path:
    directory = RunDirectory(folder)
    try:
        render(StudyReportSpec.model_validate(spec), directory)
    finally:
        directory.close()
    return folder / "artifacts"


@pytest.fixture(scope="module")
def homework_report(finished: Finish, tmp_path_factory: pytest.TempPathFactory) -> Path:
    plan = expand("course/1", Scale.SMOKE, [0])
    cheap = [run for run in plan.runs if run.spec.get("method") == "closed_form" or run.spec.get("iterations") == 1000]
    outcomes = finished(cheap)
    outcomes += [_unfinished(run) for run in plan.runs if run not in cheap]
    spec = report_spec(plan, outcomes, {"lab": HOSTILE})
    return rendered(tmp_path_factory.mktemp("report"), spec)


def _unfinished(run: RunPlan) -> RunOutcome:
    return RunOutcome(
        experiment=run.experiment,
        spec=run.spec,
        seed=run.seed,
        questions=run.questions,
        cell=dict(run.cell or {}),
        state="failed",
        cause="error",
        message=HOSTILE,
        job_id="job-7",
    )


def test_page_asks_for_nothing_from_elsewhere_and_runs_nothing(homework_report: Path) -> None:
    page = (homework_report / "report.html").read_text()
    tags = Tags(page)
    assert not tags.all("script")
    assert not tags.all("link")
    assert all((image["src"] or "").startswith("data:image/png;base64,") for image in tags.all("img"))
    assert all((link["href"] or "").startswith("#") for link in tags.all("a"))
    assert not re.search(r"url\(|@import|https?://", page)


def test_page_can_be_read_without_seeing_it(homework_report: Path) -> None:
    tags = Tags((homework_report / "report.html").read_text())
    assert tags.all("html")[0]["lang"] == "en"
    assert tags.all("img")
    assert all(len(image["alt"] or "") > 20 for image in tags.all("img"))
    assert all(heading.get("scope") in {"row", "col"} for heading in tags.all("th"))
    targets = {attributes.get("id") for _, attributes in tags.found}
    assert {(link["href"] or "").removeprefix("#") for link in tags.all("a")} <= targets


def test_page_has_every_question_and_the_marks_of_each_verdict(homework_report: Path) -> None:
    page = (homework_report / "report.html").read_text()
    for letter in "abcdefghi":
        assert f'id="q1{letter}"' in page
    for words in ("agrees", "sheet is wrong", "not measured", "the bias was left in"):
        assert words in page


def test_what_came_from_outside_is_escaped(homework_report: Path) -> None:
    page = (homework_report / "report.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    markdown = (homework_report / "report.md").read_text()
    assert "<script>" not in markdown.replace("\\<script\\>", "")


def test_runs_without_a_result_are_named(homework_report: Path) -> None:
    found = json.loads((homework_report / "findings.json").read_text())
    missing = next(question for question in found["questions"] if question["question"] == "1h")["missing"]
    assert missing
    assert all("error" in line for line in missing)
    assert found["provenance"]["finished"] < found["provenance"]["runs"]
    assert "job-7" in found["provenance"]["job_ids"]


def test_markdown_names_pictures_that_lie_beside_it(homework_report: Path) -> None:
    names = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", (homework_report / "report.md").read_text())
    assert names
    assert all((homework_report / name).read_bytes().startswith(b"\x89PNG") for name in names)


def test_markdown_tables_have_as_many_cells_as_columns(homework_report: Path) -> None:
    tables = re.findall(r"(?:^\|.*\n)+", (homework_report / "report.md").read_text(), re.MULTILINE)
    assert len(tables) > 5
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1, table


def test_findings_are_the_report_as_data(homework_report: Path) -> None:
    found = json.loads((homework_report / "findings.json").read_text())
    assert sum(found["verdicts"].values()) == sum(len(question["comparisons"]) for question in found["questions"])
    assert {line["question"] for line in found["glance"]} >= {"1a", "1b"}
    assert found["provenance"]["versions"] == ["torch 0"]


def test_grid_of_ones_own_gets_its_comparison_table(finished: Finish, tmp_path: Path) -> None:
    plan = expand_grid("dropout-linear", {"method": "closed_form"}, {"dropout": [0.0, 0.5]}, [0, 1], HOSTILE)
    artifacts = rendered(tmp_path, report_spec(plan, finished(plan.runs)))
    page = (artifacts / "report.html").read_text()
    assert "dropout 0.5" in page
    assert "clean_loss" in page
    assert " · 2 seeds" in page
    assert "<script>" not in page
    found = json.loads((artifacts / "findings.json").read_text())
    assert [row["fields"]["clean_loss"]["n"] for row in found["comparison"]] == [2, 2]


def test_report_of_a_grid_leaves_curves_with_the_runs(finished: Finish) -> None:
    plan = expand_grid("dropout-linear", {"iterations": 50}, {"dropout": [0.5]}, [0])
    spec = report_spec(plan, finished(plan.runs))
    assert "curve" not in spec["outcomes"][0]["result"]
    assert spec["outcomes"][0]["result"]["clean_loss"] > 0


def test_report_of_too_much_is_refused_with_its_size() -> None:
    plan = StudyPlan("course/1a", Scale.SMOKE, "x", ("course/1a",), ())
    huge = RunOutcome(experiment="dropout-linear", spec={}, seed=0, result={"curve": "x" * (33 * 2**20)})
    with pytest.raises(ValueError, match="bytes"):
        report_spec(plan, [huge])


def test_pictures_of_one_seed_travel() -> None:
    plan = StudyPlan("course/1i", Scale.SMOKE, "x", ("course/1i",), ())
    runs = [RunOutcome(experiment="p", spec={"a": 1}, seed=seed, result={"samples": [1], "x": 2}) for seed in (4, 3)]
    sent = report_spec(plan, runs)["outcomes"]
    assert ["samples" in run["result"] for run in sent] == [False, True]


def test_study_report_is_a_job_that_listings_leave_out() -> None:
    assert runnable()["study-report"] is EXPERIMENT
    assert {"study-report", "memory-estimate", "gpu-constants"} <= runnable().keys() - experiments().keys()
    with pytest.raises(ValidationError):
        StudyReportSpec.model_validate({"title": "x", "nope": 1})
    with pytest.raises(ValidationError, match="no installed question set has this question"):
        StudyReportSpec.model_validate({"title": "x", "questions": ["course/9z"]})


def test_report_stops_when_asked(tmp_path: Path, finished: Finish) -> None:
    plan = expand("course/1c", Scale.SMOKE)
    plan_f = expand("course/1f", Scale.SMOKE, [0])
    outcomes = finished([*plan.runs, *plan_f.runs])
    directory = RunDirectory(tmp_path)
    directory.ask_to_stop()
    with pytest.raises(Stopped):
        render(StudyReportSpec.model_validate(report_spec(plan_f, outcomes)), directory)
    directory.close()


def test_report_is_pure(finished: Finish) -> None:
    outcomes = finished(expand("course/1c", Scale.SMOKE).runs)
    first, second = (report("x", order, questions=["course/1c"]) for order in (outcomes, outcomes[::-1]))
    assert first == second
    assert first.questions[0].question == "1c"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (True, "yes"),
        (58_164_298, "58,164,298"),
        (1.0891089, "1.0891"),
        (232_657_192.0, "232,657,192"),
        (0.0, "0"),
        (3.2e-30, "3.2e-30"),
        ("words", "words"),
        (interval([0.2]), "0.2"),
        (interval([0.343, 0.1, 0.5]), "0.31\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}0.50"),
        (interval([1.0, 1.0, 1.0]), "1"),
        (interval([100.0, 140.0, 130.0]), "123\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}52"),
    ],
)
def test_values_are_shown_to_the_precision_they_have(value: object, text: str) -> None:
    assert shown(value) == text


def test_statements_are_sentences_and_titles_differ() -> None:
    assert len({question.title for question in COURSE.questions.values()}) == len(COURSE.questions)
    assert all(question.statement.endswith((".", "?")) for question in COURSE.questions.values())


def test_planning_and_judging_need_neither_torch_nor_numpy_nor_matplotlib() -> None:
    program = (
        "import sys; import experiments.studies.templates, experiments.studies.report_job, experiments.studies.report\n"
        "from experiments.studies.plan import Scale\n"
        "experiments.studies.templates.expand('course/all', Scale.CPU)\n"
        "print(sorted({'torch', 'numpy', 'matplotlib', 'scipy', 'jinja2'} & sys.modules.keys()))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_alternative_text_says_where_each_line_begins_and_ends() -> None:
    line = Series(label="loss", kind="line", x=(0, 10), y=(121.0, 40.5))
    bars = Series(label="w1", kind="bars", x=(0, 1), y=(1.0, 0.5))
    panels = (
        Plot(title="All", x_label="step", y_label="loss", series=(line,)),
        Plot(title="Ends", x_label="", y_label="", series=(bars,), x_names=("none", "half")),
    )
    figure = FigureSpec(name="x", title="X", alt="The loss.", panels=panels)
    assert described(figure) == "The loss. All. loss: 121 at 0 to 40.5 at 10. Ends. w1: none 1, half 0.5."


@pytest.mark.parametrize(
    "words",
    [
        HOSTILE,
        "<img src=x onerror=alert(1)>",
        "[a](javascript:alert(1))",
        "![a](https://example.org/a.png)",
        "https://example.org www.example.org <https://example.org>",
        "*a* _b_ ~~c~~ `d` $e$",
        "# a",
        "- a",
        "1. a",
        "> a",
        "---",
        "===",
        "a\n\n# b\n",
        "&lt;script&gt; &#60;b&#62;",
        "a | b",
        "\\<b>",
    ],
)
def test_words_of_others_are_text_in_markdown(words: str) -> None:
    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    shown_words = _markdown_cell(words)
    assert "://" not in shown_words
    assert reader.render(shown_words) == f"<p>{escapeHtml(' '.join(words.split()))}</p>\n"


def test_words_of_a_plug_in_are_escaped_in_its_report(finished: Finish, tmp_path: Path) -> None:
    (run,) = expand_grid("dropout-linear", {"method": "closed_form"}, {}, [0], HOSTILE).runs
    (good,) = finished([run])
    hostile = good.model_copy(
        update={"experiment": HOSTILE, "cell": {HOSTILE: HOSTILE}, "message": HOSTILE, "versions": {HOSTILE: HOSTILE}}
    )
    plan = StudyPlan(None, None, HOSTILE, (), (run,), (HOSTILE,))
    artifacts = rendered(tmp_path, report_spec(plan, [hostile], {HOSTILE: HOSTILE}))
    assert "<script>" not in (artifacts / "report.html").read_text()
    page = MarkdownIt("commonmark", {"html": True}).enable("table").render((artifacts / "report.md").read_text())
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_numbers_that_programs_report_are_marked_as_theirs(tmp_path: Path) -> None:
    outcomes = [
        RunOutcome(experiment=slug, spec={}, seed=1, cell={"slug": slug}, result={"loss": 0.5})
        for slug in ("script", "pi")
    ]
    found = report("Mine", outcomes)
    assert [cell.reported_by for cell in found.comparison] == ["program", "lab"]
    (note,) = found.notes
    assert note.startswith("The programs of the script runs report their numbers and versions themselves. The lab ")
    assert report("Mine", outcomes[1:]).notes == ()
    for text in (render_markdown(found, {}), render_html(found, {}, {})):
        assert text.count("numbers reported by the program") == 1
