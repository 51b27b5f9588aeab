"""Question sets come from installed packages: checked as they are loaded, and the lab works without any."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from experiments import plugins
from experiments.studies import question_sets, templates
from experiments.studies.outcome import RunOutcome
from experiments.studies.plan import PlanError, Scale
from experiments.studies.question import Answer, Need, Question, Setting
from experiments.studies.question_set import Part, QuestionSet
from gpulab.version import VERSION

ROOT = Path(__file__).parents[3]
WITHOUT_HOMEWORK = """
import json
from api.question_sets import service as question_sets
from api.experiments import service as experiments
from experiments.registry import runnable
from experiments.studies.plan import PlanError, expand_grid
from experiments.studies.templates import expand

try:
    refused = expand("course/1a")
except PlanError as error:
    refused = str(error)
print(json.dumps({
    "experiments": [item.slug for item in experiments.page().items],
    "runnable": list(runnable()),
    "question_sets": question_sets.page().model_dump(),
    "refused": refused,
    "grid": len(expand_grid("train-classifier", {}, {"epochs": [1, 2]}, [0]).runs),
    "homework": [name for name in __import__("sys").modules if name.startswith("homework")],
}))
"""


def question(slug: str, needs: Sequence[Need] = (), **fields: Any) -> Question:
    return Question(slug, slug, f"What is {slug}?", lambda _: needs, lambda _: Answer([]), **fields)


def made(*slugs: str, part: str = "1", question_set: str = "optics") -> QuestionSet:
    return QuestionSet(question_set, "All of optics", (Part(part, "Light", tuple(map(question, slugs))),))


class EntryPoint:
    def __init__(self, name: str, value: object) -> None:
        self.name, self.value, self._object = name, f"package:{name}", value

    def load(self) -> object:
        return self._object


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Loads objects as entry points of the group would name them."""

    def loading(*found: object) -> plugins.Plugins[QuestionSet]:
        points = [EntryPoint(f"set-{place}", one) for place, one in enumerate(found)]
        real = plugins.entry_points
        monkeypatch.setattr(
            plugins,
            "entry_points",
            lambda group: points if group == question_sets.ENTRY_POINT_GROUP else real(group=group),
        )
        return question_sets._plugins.__wrapped__()

    return loading


def test_without_the_homework_the_lab_offers_the_rest_and_says_that_there_is_no_course(tmp_path: Path) -> None:
    # The first package of a name on the path is the one that counts: this one has no entry points.
    information = tmp_path / f"gpulab-{VERSION}.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: gpulab\nVersion: {VERSION}\n")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    done = subprocess.run([sys.executable, "-c", WITHOUT_HOMEWORK], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert {"batch-size", "max-batch", "model-memory", "train-classifier"} <= set(found["experiments"])
    assert "dropout-linear" not in found["experiments"]
    assert {"study-report", "memory-estimate", "gpu-constants"} < set(found["runnable"])
    assert found["question_sets"] == {"items": [], "broken": []}
    assert "no question set is installed in this lab" in found["refused"]
    assert (found["grid"], found["homework"]) == (2, [])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (made, "has no question"),
        (lambda: made("1a", "1a"), "'1a' twice"),
        (lambda: made("1"), "'1' twice"),
        (lambda: made("all"), "'all' twice"),
        (lambda: made("1a+1b"), "'1a\\+1b' is not made of"),
        (lambda: made("1a", question_set="My Set"), "'My Set' is not made of"),
        (lambda: made("1a", part="a/b"), "'a/b' is not made of"),
    ],
)
def test_question_set_with_unusable_slugs_is_refused(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def test_broken_question_sets_are_named_and_the_others_stay(load: Any) -> None:
    unknown = question("2a", [Need("nowhere-to-be-found")])
    wrong = question("3a", [Need("train-classifier", {"epochs": "many"})])
    found = load(
        made("1a"),
        "no question set",
        made("1b"),
        QuestionSet("unknown", "x", (Part("2", "x", (unknown,)),)),
        QuestionSet("wrong", "x", (Part("3", "x", (wrong,)),)),
    )
    assert [question_set.slug for question_set in found.loaded] == ["optics"]
    assert list(found.loaded[0].questions) == ["1a"]
    reasons = {plugin.entry_point: plugin.reason for plugin in found.broken}
    assert "not a QuestionSet" in reasons["set-1"]
    assert "'optics' is taken" in reasons["set-2"]
    assert "question 2a needs the experiment 'nowhere-to-be-found'" in reasons["set-3"]
    assert "epochs" in reasons["set-4"]


def test_question_reads_only_the_runs_that_name_it_with_its_course() -> None:
    seen: list[int] = []
    counted = Question("1a", "x", "x?", lambda _: [], lambda runs: seen.append(len(runs.outcomes)) or Answer([]))
    question_set = QuestionSet("optics", "x", (Part("1", "x", (counted,)),))
    asked = (("optics/1a",), ("other/1a",), ("optics/1b", "optics/1a"), ())
    runs = [RunOutcome(experiment="e", spec={}, seed=0, questions=names, result={}) for names in asked]
    assert question_set.report("1a", runs).runs == 2
    assert seen == [2]


def test_question_set_that_fails_at_a_larger_scale_is_a_wrong_template_and_no_crash(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def needs(setting: Setting) -> list[Need]:
        return [Need("train-classifier", {"epochs": setting.pick(smoke=1, cpu="many", full=1 / 0)})]

    asked = Question("1a", "x", "x?", needs, lambda _: Answer([]))
    optics = QuestionSet("optics", "x", (Part("1", "x", (asked,)),))
    monkeypatch.setattr(templates, "question_set_of", lambda _: optics)
    monkeypatch.setattr(templates, "templates", lambda: {one.name: one for one in templates._templates(optics)})
    with pytest.raises(PlanError, match="the question set failed to plan its runs: ZeroDivisionError") as caught:
        templates.expand("optics/1a", Scale.CPU)
    assert caught.value.errors[0].path == ("template",)


def test_setting_picks_by_scale() -> None:
    assert [Setting(scale, ()).pick(smoke=1, cpu=2, full=3) for scale in Scale] == [1, 2, 3]
