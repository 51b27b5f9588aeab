"""When a user does not see correct answers, and what an answer is. Pure: every route of the API asks here.

Answers are what tells a student whether their own are right: correct values, verdicts, and the sheet beside them. A
student does not see those of an experiment or question of an assignment for which they can still hand in.
"""

import re
from collections.abc import Callable, Collection, Iterable
from typing import Any, Protocol

ANSWER = re.compile(r"(?:^|_)(?:sheet|correct|verdict)s?(?:_|\[|$)")
"""Names of fields and metrics: `sheet`, `sheet_variance`, `correct_source`, `verdicts`, `correct[0]`."""
TELLING = re.compile(r"\b(?:sheet|correct)\b", re.IGNORECASE)


Uses = Callable[[str], Collection[str]]


class HeldBack(Protocol):
    """An assignment that a student can still hand in for."""

    @property
    def experiments(self) -> Collection[str]: ...

    @property
    def questions(self) -> Collection[str]: ...


def holds(
    assignment: HeldBack, questions_with: Uses, *, experiments: Collection[str] = (), questions: Collection[str] = ()
) -> bool:
    """Whether the assignment holds back answers about any of these experiments or questions.

    A question is answered by experiments, so an assignment about one is about the other: `questions_with` names the
    questions that need an experiment.
    """
    about = {*assignment.questions, *(q for slug in assignment.experiments for q in questions_with(slug))}
    if not about.isdisjoint(questions) or not set(experiments).isdisjoint(assignment.experiments):
        return True
    return any(not set(questions_with(slug)).isdisjoint(assignment.questions) for slug in experiments)


def is_answer(name: str) -> bool:
    return ANSWER.search(name) is not None


def without_answers(value: Any) -> Any:
    """A result, statistics or a JSON Schema without the fields that are answers, and without words about them."""
    if isinstance(value, list):
        return [without_answers(item) for item in value if not (isinstance(item, str) and is_answer(item))]
    if not isinstance(value, dict):
        return value
    return {name: without_answers(item) for name, item in value.items() if not _tells(name, item)}


def _tells(name: str, item: Any) -> bool:
    return is_answer(name) or (name == "description" and isinstance(item, str) and TELLING.search(item) is not None)


def field_names(schema: Any) -> Iterable[str]:
    """Every field that a JSON Schema names, at any depth."""
    if isinstance(schema, list):
        for item in schema:
            yield from field_names(item)
    elif isinstance(schema, dict):
        yield from schema.get("properties", {})
        for item in schema.values():
            yield from field_names(item)
