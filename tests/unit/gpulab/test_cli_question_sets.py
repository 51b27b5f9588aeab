"""Commands about question sets: their templates, and what `reproduce` says where it has none to answer."""

import json
from collections.abc import Callable

import pytest

from tests.unit.gpulab.command import Ran
from tests.unit.gpulab.stub_lab import StubLab


def question_set(slug: str) -> dict[str, object]:
    def template(name: str) -> dict[str, str]:
        return {"template": f"{slug}/{name}", "title": f"About {name}"}

    return {"slug": slug, "whole": template("all"), "parts": [], "questions": [template("1a")]}


def test_templates_of_every_question_set_are_listed(run: Callable[..., Ran], stub: StubLab) -> None:
    assert run("study", "templates").out == "No question set is installed in this lab.\n"
    stub.question_sets = [question_set("pi"), question_set("optics")]
    lines = run("study", "templates").out.splitlines()[1:]
    assert [line.split()[0] for line in lines] == ["pi/all", "pi/1a", "optics/all", "optics/1a"]
    assert [found["slug"] for found in json.loads(run("study", "templates", "--json").out)] == ["pi", "optics"]


@pytest.mark.parametrize(
    ("question_sets", "options", "words"),
    [
        ([], (), "no question set is installed in this lab"),
        ([], ("--question-set", "pi"), "no question set is installed in this lab"),
        (["pi", "optics"], (), "choose a question set with --question-set: pi, optics"),
        (["pi"], ("--question-set", "optics"), "no question set 'optics' is installed in this lab; there are: pi"),
    ],
)
def test_reproduce_says_which_question_set_is_missing(
    run: Callable[..., Ran], stub: StubLab, question_sets: list[str], options: tuple[str, ...], words: str
) -> None:
    stub.question_sets = [question_set(slug) for slug in question_sets]
    ran = run("reproduce", *options)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err
    assert not any(request.method == "POST" for request in stub.requests)
