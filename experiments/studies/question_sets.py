"""The installed question sets. A question set is named by an entry point in the group `gpulab.studies`."""

from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from experiments.plugins import BrokenPlugin, Plugins, load
from experiments.registry import experiments
from experiments.studies.plan import Scale, plan_run
from experiments.studies.question import Question, Setting
from experiments.studies.question_set import QuestionSet

ENTRY_POINT_GROUP = "gpulab.studies"


@cache
def question_sets() -> MappingProxyType[str, QuestionSet]:
    """Every question set by its slug."""
    return MappingProxyType({question_set.slug: question_set for question_set in _plugins().loaded})


def broken() -> tuple[BrokenPlugin, ...]:
    """The question sets that could not be loaded."""
    return _plugins().broken


def question_set_of(template: str | None) -> QuestionSet | None:
    """The question set that a template or a question belongs to; None for a grid, or one that is not installed."""
    return None if template is None else question_sets().get(template.partition("/")[0])


def question(name: str) -> Question | None:
    """A question by its template, `course/1b`; None for one that no installed question set has."""
    question_set = question_set_of(name)
    return None if question_set is None else question_set.questions.get(name.partition("/")[2])


@cache
def _questions_by_experiment() -> Mapping[str, tuple[str, ...]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for question_set in question_sets().values():
        for slug, asked in question_set.questions.items():
            for experiment in dict.fromkeys(need.experiment for need in asked.needs(Setting(Scale.SMOKE, ()))):
                found[experiment].append(question_set.template(slug))
    return MappingProxyType({experiment: tuple(names) for experiment, names in found.items()})


def questions_with(experiment: str) -> tuple[str, ...]:
    """The questions that need runs of an experiment."""
    return _questions_by_experiment().get(experiment, ())


@cache
def _plugins() -> Plugins[QuestionSet]:
    return load(ENTRY_POINT_GROUP, QuestionSet, _checked)


def _checked(question_set: QuestionSet) -> str:
    """The slug of a question set whose small runs can be planned. Raises what its code raises."""
    for slug, asked in question_set.questions.items():
        for need in asked.needs(Setting(Scale.SMOKE, ())):
            if need.experiment not in experiments():
                raise ValueError(f"question {slug} needs the experiment {need.experiment!r}, which is not installed")
            plan_run(need.experiment, need.spec, 0, question_set.template(slug))
    return question_set.slug
