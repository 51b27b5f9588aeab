"""From whom answers are held back: a table of cases, and what is an answer."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from api.answers.rules import field_names, holds, is_answer, without_answers

USED_BY = {"bands": ("course/4a", "course/4b"), "ridge": ("course/2a",), "script": ()}


@pytest.mark.parametrize(
    ("assignment", "asked", "held"),
    [
        ({"experiments": ["ridge"]}, {"experiments": ["ridge"]}, True),
        ({"experiments": ["ridge"]}, {"experiments": ["bands"]}, False),
        ({"experiments": ["ridge"]}, {"experiments": ["bands", "ridge"]}, True),
        # A question is answered by an experiment: its own results would tell.
        ({"questions": ["course/2a"]}, {"experiments": ["ridge"]}, True),
        ({"questions": ["course/4a"]}, {"experiments": ["ridge"]}, False),
        # The report of a question about an experiment would tell, too.
        ({"experiments": ["bands"]}, {"questions": ["course/4b"]}, True),
        ({"experiments": ["bands"]}, {"questions": ["course/2a"]}, False),
        ({"questions": ["course/4a"]}, {"questions": ["course/4a"]}, True),
        # One question of a larger study is enough, and its neighbour is not meant.
        ({"questions": ["course/4a"]}, {"questions": ["course/2a", "course/4a"]}, True),
        ({"questions": ["course/4a"]}, {"questions": ["course/4b"]}, False),
        ({"experiments": ["script"]}, {"experiments": ["script"]}, True),
        ({"experiments": ["script"]}, {"questions": ["course/4a"]}, False),
        ({"experiments": ["left-the-lab"]}, {"experiments": ["ridge"], "questions": ["course/2a"]}, False),
        ({"questions": ["course/4a"]}, {}, False),
    ],
)
def test_assignment_holds_back_answers_about_what_belongs_to_it(
    assignment: dict[str, list[str]], asked: dict[str, list[str]], *, held: bool
) -> None:
    one = SimpleNamespace(**{"experiments": [], "questions": [], **assignment})

    def questions_with(experiment: str) -> Sequence[str]:
        return USED_BY.get(experiment, ())

    assert holds(one, questions_with, **asked) is held


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        *((name, True) for name in ("sheet", "sheet_variance", "correct", "correct_source", "verdict", "by_sheet")),
        *((name, False) for name in ("variance", "corrected", "incorrectness", "worksheet", "accuracy")),
    ],
)
def test_answers_are_known_by_their_names(name: str, *, answer: bool) -> None:
    assert is_answer(name) is answer


def test_answers_are_left_out_at_any_depth_with_the_words_about_them() -> None:
    result: dict[str, Any] = {"slope": 1.0, "sheet": 0.5, "growth": [{"side": 8, "sheet": 2.0, "ours": 2.1}]}
    schema = {
        "description": "What the sheet's formula gives.",
        "properties": {
            "slope": {"type": "number", "description": "Slope of the line."},
            "sheet_slope": {"type": "number"},
        },
        "required": ["slope", "sheet_slope"],
    }

    assert without_answers(result) == {"slope": 1.0, "growth": [{"side": 8, "ours": 2.1}]}
    assert without_answers(schema) == {
        "properties": {"slope": {"type": "number", "description": "Slope of the line."}},
        "required": ["slope"],
    }
    assert set(field_names({"properties": {"a": {}}, "$defs": {"B": {"properties": {"b": {}}}}})) == {"a", "b"}
