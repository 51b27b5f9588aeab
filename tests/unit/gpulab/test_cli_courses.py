"""Commands about courses: which templates there are, and what `reproduce` says where it has no course to answer."""

import json
from collections.abc import Callable

import pytest

from tests.unit.gpulab.command import Ran
from tests.unit.gpulab.stub_lab import StubLab


def course(slug: str) -> dict[str, object]:
    def template(name: str) -> dict[str, str]:
        return {"template": f"{slug}/{name}", "title": f"About {name}"}

    return {"slug": slug, "whole": template("all"), "parts": [], "questions": [template("1a")]}


def test_templates_of_every_course_are_listed(run: Callable[..., Ran], stub: StubLab) -> None:
    assert run("study", "templates").out == "No course is installed in this lab.\n"
    stub.courses = [course("pi"), course("optics")]
    lines = run("study", "templates").out.splitlines()[1:]
    assert [line.split()[0] for line in lines] == ["pi/all", "pi/1a", "optics/all", "optics/1a"]
    assert [found["slug"] for found in json.loads(run("study", "templates", "--json").out)] == ["pi", "optics"]


@pytest.mark.parametrize(
    ("courses", "options", "words"),
    [
        ([], (), "no course is installed in this lab"),
        ([], ("--course", "pi"), "no course is installed in this lab"),
        (["pi", "optics"], (), "choose a course with --course: pi, optics"),
        (["pi"], ("--course", "optics"), "no course 'optics' is installed in this lab; there are: pi"),
    ],
)
def test_reproduce_says_which_course_is_missing(
    run: Callable[..., Ran], stub: StubLab, courses: list[str], options: tuple[str, ...], words: str
) -> None:
    stub.courses = [course(slug) for slug in courses]
    ran = run("reproduce", *options)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err
    assert not any(request.method == "POST" for request in stub.requests)
