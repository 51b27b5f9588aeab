"""The installed question sets, with the templates of their studies."""

from functools import cache

from experiments.studies.question_set import ALL, QuestionSet
from experiments.studies.question_sets import broken, question_sets
from experiments.studies.templates import templates
from gpulab.schemas import QuestionSetPage, QuestionSetRead, TemplateRead


@cache
def page() -> QuestionSetPage:
    return QuestionSetPage(
        items=[_read(question_set) for question_set in question_sets().values()],
        broken=[{"entry_point": plugin.entry_point, "reason": plugin.reason} for plugin in broken()],
    )


def _read(question_set: QuestionSet) -> QuestionSetRead:
    return QuestionSetRead(
        slug=question_set.slug,
        whole=_template(question_set, ALL),
        parts=[_template(question_set, part.slug) for part in question_set.parts],
        questions=[_template(question_set, slug) for slug in question_set.questions],
    )


def _template(question_set: QuestionSet, slug: str) -> TemplateRead:
    found = templates()[question_set.template(slug)]
    return TemplateRead(template=found.name, title=found.title)
