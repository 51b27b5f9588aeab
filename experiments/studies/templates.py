"""Studies by name: `course/1b` is a question of the set `course`, `course/2` a part, `course/all` all of it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from experiments.registry import runnable
from experiments.studies.plan import (
    MAX_SEED,
    PlanError,
    RunPlan,
    Scale,
    StudyPlan,
    WrongField,
    check_seeds,
    merge,
    plan_run,
    seed_blocks,
)
from experiments.studies.question import Need, Question, Setting
from experiments.studies.question_set import ALL, QuestionSet
from experiments.studies.question_sets import question_set_of, question_sets

SEEDS = {Scale.SMOKE: range(2), Scale.CPU: range(5), Scale.FULL: range(10)}
"""Seeds of a study for which none are given."""


@dataclass(frozen=True, slots=True)
class Template:
    """A study that can be started by name."""

    name: str
    title: str
    question_set: QuestionSet
    questions: tuple[Question, ...]


@cache
def templates() -> Mapping[str, Template]:
    """Every template by name: of each question set the whole, the parts, the questions."""
    found = [template for question_set in question_sets().values() for template in _templates(question_set)]
    return MappingProxyType({template.name: template for template in found})


def _templates(question_set: QuestionSet) -> Iterator[Template]:
    yield Template(question_set.template(ALL), question_set.title, question_set, tuple(question_set.questions.values()))
    for part in question_set.parts:
        yield Template(question_set.template(part.slug), f"{part.slug}. {part.title}", question_set, part.questions)
    for slug, question in question_set.questions.items():
        yield Template(question_set.template(slug), f"{slug}. {question.title}", question_set, (question,))


def expand(
    template: str, scale: Scale = Scale.CPU, seeds: Sequence[int] | None = None, datasets: Collection[str] = ()
) -> StudyPlan:
    """The runs of a template; `datasets` are those that some node of the lab has. Raises `PlanError`.

    `course/1a+4` puts templates of one question set together.
    """
    chosen = _chosen(template)
    if chosen is None:
        raise PlanError(WrongField(("template",), _unknown(), template))
    chosen_seeds = check_seeds(list(SEEDS[scale]) if seeds is None else seeds)
    try:
        return _plan(template, chosen, Setting(scale, datasets), chosen_seeds)
    except Exception as error:  # a stranger's question set may fail in any way
        message = f"the question set failed to plan its runs: {type(error).__name__}: {error}"
        raise PlanError(WrongField(("template",), message, template)) from error


def _plan(template: str, chosen: Template, setting: Setting, seeds: Sequence[int]) -> StudyPlan:
    runs = [
        run
        for question in chosen.questions
        for need in question.needs(setting)
        for run in _runs(need, seeds, chosen.question_set.template(question.slug))
    ]
    return StudyPlan(
        template=template,
        scale=setting.scale,
        title=chosen.title,
        questions=tuple(chosen.question_set.template(question.slug) for question in chosen.questions),
        runs=merge(runs),
        notes=tuple(chosen.question_set.notes(setting, runs)),
    )


def _unknown() -> str:
    return f"unknown; known: {', '.join(templates())}" if templates() else "no question set is installed in this lab"


def _chosen(name: str) -> Template | None:
    question_set = question_set_of(name)
    if question_set is None:
        return None
    parts = [templates().get(question_set.template(part)) for part in name.partition("/")[2].split("+")]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    if len(known) == 1:
        return known[0]
    questions = {question.slug: question for part in known for question in part.questions}
    return Template(name, f"Questions {', '.join(questions)}", question_set, tuple(questions.values()))


def _runs(need: Need, seeds: Sequence[int], question: str) -> list[RunPlan]:
    if not need.seeded:
        return [plan_run(need.experiment, need.spec, 0, question)]
    # Seed 1 of two trainings each has 2 and 3; the largest seeds begin again at 0.
    seeds = [(seed * need.trainings + place) % (MAX_SEED + 1) for seed in seeds for place in range(need.trainings)]
    if "replicas" not in runnable()[need.experiment].spec.model_fields:
        return [plan_run(need.experiment, need.spec, seed, question) for seed in seeds]
    return [
        plan_run(need.experiment, {**need.spec, "replicas": count}, first, question)
        for first, count in seed_blocks(seeds)
    ]
