"""The course as templates of studies: `course/1b` is a question, `course/2` a part, `course/all` the whole homework."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from experiments.registry import experiments
from experiments.studies.course import QUESTIONS
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

PREFIX = "course/"
PARTS = {
    "1": "Understanding dropout",
    "2": "Dropout and ridge regression",
    "3": "Weights and gradients in a CNN",
    "4": "Inductive bias of convolutions",
    "5": "Memory on GPUs",
}
SEEDS = {Scale.SMOKE: range(2), Scale.CPU: range(5), Scale.FULL: range(10)}
"""Seeds of a study for which none are given."""


@dataclass(frozen=True, slots=True)
class Template:
    """A study that can be started by name."""

    name: str
    title: str
    questions: tuple[Question, ...]


@cache
def templates() -> Mapping[str, Template]:
    """Every template by name: the whole, the parts, the questions."""
    found = {"all": Template(f"{PREFIX}all", "The whole homework", tuple(QUESTIONS.values()))}
    for part, title in PARTS.items():
        questions = tuple(question for slug, question in QUESTIONS.items() if slug.startswith(part))
        found[part] = Template(f"{PREFIX}{part}", f"{part}. {title}", questions)
    for slug, question in QUESTIONS.items():
        found[slug] = Template(f"{PREFIX}{slug}", f"{slug}. {question.title}", (question,))
    return MappingProxyType({template.name: template for template in found.values()})


def expand(
    template: str, scale: Scale = Scale.CPU, seeds: Sequence[int] | None = None, datasets: Collection[str] = ()
) -> StudyPlan:
    """The runs of a template; `datasets` are those that some node of the lab has. Raises `PlanError`.

    `course/1a+4` puts templates together.
    """
    chosen = _chosen(template)
    if chosen is None:
        raise PlanError(WrongField(("template",), f"unknown; known: {', '.join(templates())}", template))
    chosen_seeds = check_seeds(list(SEEDS[scale]) if seeds is None else seeds)
    setting = Setting(scale, datasets)
    runs = [
        run
        for question in chosen.questions
        for need in question.needs(setting)
        for run in _runs(need, chosen_seeds, question.slug)
    ]
    return StudyPlan(
        template=template,
        scale=scale,
        title=chosen.title,
        questions=tuple(question.slug for question in chosen.questions),
        runs=merge(runs),
        notes=tuple(_notes(setting, runs)),
    )


def _chosen(name: str) -> Template | None:
    parts = [templates().get(PREFIX + part) for part in name.removeprefix(PREFIX).split("+")]
    known = [part for part in parts if part is not None]
    if not name.startswith(PREFIX) or len(known) < len(parts):
        return None
    if len(known) == 1:
        return known[0]
    questions = {question.slug: question for part in known for question in part.questions}
    return Template(name, f"Questions {', '.join(questions)}", tuple(questions.values()))


def _runs(need: Need, seeds: Sequence[int], question: str) -> list[RunPlan]:
    if not need.seeded:
        return [plan_run(need.experiment, need.spec, 0, question)]
    # Seed 1 of two trainings each has 2 and 3; the largest seeds begin again at 0.
    seeds = [(seed * need.trainings + place) % (MAX_SEED + 1) for seed in seeds for place in range(need.trainings)]
    if "replicas" not in experiments()[need.experiment].spec.model_fields:
        return [plan_run(need.experiment, need.spec, seed, question) for seed in seeds]
    return [
        plan_run(need.experiment, {**need.spec, "replicas": count}, first, question)
        for first, count in seed_blocks(seeds)
    ]


def _notes(setting: Setting, runs: Sequence[RunPlan]) -> list[str]:
    stand_in = any(run.spec.get("dataset") == "digits" for run in runs)
    if stand_in and setting.pictures == "digits":
        return ["No node has CIFAR-10: the scikit-learn digits stood in for it, so numbers differ and patterns count."]
    return []
