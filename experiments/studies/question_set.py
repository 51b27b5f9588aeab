"""A question set: questions that belong together, each a template of a study. A package adds one by an entry point."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from experiments.studies.findings import QuestionReport
from experiments.studies.outcome import RunOutcome
from experiments.studies.plan import RunPlan, Scale
from experiments.studies.question import Question, Setting

SLUG = re.compile(r"[a-z0-9]+(?:[-.][a-z0-9]+)*")
ALL = "all"


@dataclass(frozen=True, slots=True)
class Part:
    """Questions of a question set that are asked together."""

    slug: str
    """`1`: its template is `course/1`."""
    title: str
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Questions with their answers. The slugs of its parts and questions differ, and none is `all`."""

    slug: str
    """`course`: the template of its question `1b` is `course/1b`."""
    title: str
    """What the template of all its questions is called."""
    parts: tuple[Part, ...]
    notes: Callable[[Setting, Sequence[RunPlan]], Sequence[str]] = field(default=lambda _setting, _runs: ())
    """What a reader of the report must know of the planned runs, such as a data set that replaces another."""
    shown_once: frozenset[str] = frozenset()
    """Fields of results that are large, such as images: a report has those of the lowest seed of each spec only."""

    def __post_init__(self) -> None:
        names = [ALL, *(part.slug for part in self.parts), *(question.slug for question in self._all())]
        for name in (self.slug, *names):
            if not SLUG.fullmatch(name):
                raise ValueError(f"the slug {name!r} is not made of lower-case letters, digits, '-' and '.'")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"the question set {self.slug!r} has the slug {twice[0]!r} twice")
        if not any(True for _ in self._all()):
            raise ValueError(f"the question set {self.slug!r} has no question")

    @property
    def questions(self) -> Mapping[str, Question]:
        """Every question by its slug, in the question set's order."""
        return MappingProxyType({question.slug: question for question in self._all()})

    def template(self, slug: str) -> str:
        """The name of the template for a question, a part or `all`."""
        return f"{self.slug}/{slug}"

    def report(self, slug: str, outcomes: Sequence[RunOutcome], scale: Scale | None = None) -> QuestionReport:
        """What the runs say about a question; runs that other questions alone need are passed over."""
        template = self.template(slug)
        mine = [outcome for outcome in outcomes if template in outcome.questions]
        return self.questions[slug].report(mine, scale)

    def _all(self) -> Iterator[Question]:
        return (question for part in self.parts for question in part.questions)
