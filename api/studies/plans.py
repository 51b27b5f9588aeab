"""What a request for a study means: its plan, and the order of each run."""

from collections.abc import Sequence
from typing import Any

from api.experiments import service as experiments
from api.http.problems import InvalidStudy, shortened
from experiments.studies.plan import PlanError, RunPlan, Scale, StudyPlan, WrongField, expand_grid
from experiments.studies.templates import SEEDS, expand
from gpulab import names
from gpulab.schemas import InvalidField, JobCreate, StudyCreate
from gpulab.schemas.jobs import MAX_TAGS
from gpulab.states import Priority

Definition = dict[str, Any]
"""What was asked, as JSON, with everything that was left open filled in: enough to lay the study out again."""
MAX_NAME_LENGTH = 200


def define(order: StudyCreate, datasets: Sequence[str]) -> Definition:
    """Raises `InvalidStudy` where the request is neither a template nor a grid, or both."""
    wrong = _mixed_up(order)
    if wrong:
        raise _invalid(wrong)
    scale = Scale.CPU if order.scale is None else order.scale
    if order.template is not None and scale not in list(Scale):
        raise _invalid([WrongField(("scale",), f"unknown; known: {', '.join(Scale)}", order.scale)])
    default_seeds = [0] if order.template is None else list(SEEDS[Scale(scale)])
    return {
        "template": order.template,
        "scale": None if order.template is None else Scale(scale).value,
        "experiment": order.experiment,
        "base": order.base,
        "grid": order.grid,
        "seeds": order.seeds or default_seeds,
        "priority": order.priority.value,
        "datasets": sorted(datasets),
    }


def lay_out(definition: Definition) -> tuple[StudyPlan, list[dict[str, Any]]]:
    """The plan, and a row for each run: as `api.studies.statements` takes it, and `trains`, what it trains.

    Raises `InvalidStudy`.
    """
    try:
        plan = _plan(definition)
    except PlanError as error:
        raise _invalid(error.errors) from None
    return plan, [_row(place, run, definition) for place, run in enumerate(plan.runs)]


def _plan(definition: Definition) -> StudyPlan:
    if definition["template"] is not None:
        return expand(
            definition["template"], Scale(definition["scale"]), definition["seeds"], frozenset(definition["datasets"])
        )
    return expand_grid(definition["experiment"], definition["base"], definition["grid"], definition["seeds"])


def _row(place: int, run: RunPlan, definition: Definition) -> dict[str, Any]:
    cell = dict(run.cell or {})
    named = ", ".join(run.questions) or ", ".join(f"{name}={value}" for name, value in cell.items()) or run.experiment
    order = JobCreate(
        experiment=run.experiment,
        spec=run.spec,
        seed=run.seed,
        name=names.cleaned(named[: 2 * MAX_NAME_LENGTH])[:MAX_NAME_LENGTH],
        tags=list(run.questions[:MAX_TAGS]),
        priority=Priority(definition["priority"]),
    )
    job = experiments.plan(order)
    return {
        "position": place,
        "job_id": None,
        "questions": list(run.questions),
        "cell": cell,
        "reused": False,
        "experiment": order.experiment,
        "spec": job.spec,
        "seed": order.seed,
        "name": order.name,
        "tags": order.tags,
        "priority": order.priority.value,
        "time_limit_seconds": job.time_limit_seconds,
        "gpus": job.gpus,
        "gpu_memory_bytes": None,
        "exclusive": job.exclusive,
        "datasets": job.datasets,
        "trains": (job.workload, job.fields),
    }


def _mixed_up(order: StudyCreate) -> list[WrongField]:
    if (order.template is None) == (order.experiment is None):
        return [WrongField(("template",), "name either a template or an experiment with a grid", order.template)]
    if order.template is None:
        return [] if order.scale is None else [WrongField(("scale",), "only templates have scales", order.scale)]
    given = {"base": order.base, "grid": order.grid}
    return [WrongField((name,), "a template sets this itself; leave it out") for name, value in given.items() if value]


def _invalid(errors: Sequence[WrongField]) -> InvalidStudy:
    fields = [
        InvalidField(
            path=".".join(str(part)[:100] for part in error.path)[:300],
            message=error.message,
            value=shortened(error.value),
        )
        for error in errors
    ]
    return InvalidStudy.of_fields(fields)
