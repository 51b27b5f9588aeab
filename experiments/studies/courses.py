"""The installed courses. A course is named by an entry point in the group `gpulab.studies`."""

from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from experiments.plugins import BrokenPlugin, Plugins, load
from experiments.registry import experiments
from experiments.studies.course import Course
from experiments.studies.plan import Scale, plan_run
from experiments.studies.question import Question, Setting

ENTRY_POINT_GROUP = "gpulab.studies"


@cache
def courses() -> MappingProxyType[str, Course]:
    """Every course by its slug."""
    return MappingProxyType({course.slug: course for course in _plugins().loaded})


def broken() -> tuple[BrokenPlugin, ...]:
    """The courses that could not be loaded."""
    return _plugins().broken


def course_of(template: str | None) -> Course | None:
    """The course that a template or a question belongs to; None for a grid, or one that is not installed."""
    return None if template is None else courses().get(template.partition("/")[0])


def question(name: str) -> Question | None:
    """A question by its template, `course/1b`; None for one that no installed course has."""
    course = course_of(name)
    return None if course is None else course.questions.get(name.partition("/")[2])


@cache
def _questions_by_experiment() -> Mapping[str, tuple[str, ...]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for course in courses().values():
        for slug, asked in course.questions.items():
            for experiment in dict.fromkeys(need.experiment for need in asked.needs(Setting(Scale.SMOKE, ()))):
                found[experiment].append(course.template(slug))
    return MappingProxyType({experiment: tuple(names) for experiment, names in found.items()})


def questions_with(experiment: str) -> tuple[str, ...]:
    """The questions that need runs of an experiment."""
    return _questions_by_experiment().get(experiment, ())


@cache
def _plugins() -> Plugins[Course]:
    return load(ENTRY_POINT_GROUP, Course, _checked)


def _checked(course: Course) -> str:
    """The slug of a course whose small runs can be planned. Raises whatever its own code raises."""
    for slug, asked in course.questions.items():
        for need in asked.needs(Setting(Scale.SMOKE, ())):
            if need.experiment not in experiments():
                raise ValueError(f"question {slug} needs the experiment {need.experiment!r}, which is not installed")
            plan_run(need.experiment, need.spec, 0, course.template(slug))
    return course.slug
