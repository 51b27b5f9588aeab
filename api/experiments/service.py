"""The catalogue, and what a submission becomes under it."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Literal

import orjson
import structlog
from pydantic import ValidationError

from api.http.problems import ExperimentNotFound, InvalidRequest, InvalidSpec, UnknownExperiment, shortened
from api.http.rendering import invalid_fields
from emulator import is_emulated
from experiments.contract import Experiment, GpuUse, Unpredicted
from experiments.memory.contract import ProgramRun, Workload
from experiments.registry import broken, experiments, runnable
from experiments.studies import question_sets
from gpulab.schemas import (
    ExperimentDetail,
    ExperimentPage,
    ExperimentSummary,
    InvalidField,
    JobCreate,
    MetricRead,
)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Plan:
    """A submission with everything that was left open filled in."""

    spec: dict[str, Any]
    workload: Workload | ProgramRun | Unpredicted
    fields: tuple[str, ...]
    """The fields of the spec that a user can change."""
    datasets: list[str]
    time_limit_seconds: int
    gpus: int | None
    exclusive: bool


@cache
def page() -> ExperimentPage:
    return ExperimentPage(
        items=[ExperimentSummary(**_summary(experiment)) for experiment in experiments().values()],
        broken=[{"entry_point": plugin.entry_point, "reason": plugin.reason} for plugin in broken()],
    )


@cache
def of_the_lab() -> list[str]:
    """The experiments that only the lab submits, such as a study's report. Lists of runs leave them out."""
    return sorted(runnable().keys() - experiments().keys())


@cache
def detail(slug: str) -> ExperimentDetail:
    """Raises `ExperimentNotFound`."""
    experiment = runnable().get(slug)
    if experiment is None:
        raise ExperimentNotFound(_no_experiment(str(shortened(slug))))
    return ExperimentDetail(
        **_summary(experiment),
        spec_schema=experiment.spec.model_json_schema(),
        result_schema=experiment.result.model_json_schema(mode="serialization"),
        metrics=[
            MetricRead(name=m.name, unit=m.unit, direction=m.direction, description=m.description)
            for m in experiment.metrics
        ],
        default_time_limit_seconds=experiment.default_time_limit_seconds,
    )


def in_order(slug: str, given: Mapping[str, Any], *, part: Literal["spec", "result"]) -> dict[str, Any]:
    """Fields as the experiment declares them, then the others by name: the database keeps no order of its own."""
    experiment = runnable().get(slug)
    declared = () if experiment is None else getattr(experiment, part).model_fields
    known = [name for name in declared if name in given]
    return {name: given[name] for name in (*known, *sorted(given.keys() - set(known)))}


def plan(order: JobCreate, *, by_lab: bool = False) -> Plan:
    """Check an order against its experiment; some only the lab itself may submit.

    Raises `UnknownExperiment`, `InvalidSpec` or `InvalidRequest`.
    """
    experiment = _experiment(order.experiment, by_lab=by_lab)
    spec = _spec(experiment, order.spec)
    if experiment.gpu is GpuUse.NONE and (order.gpus or order.exclusive or order.gpu_memory_bytes):
        raise _no_gpu(experiment, order)
    if experiment.gpu is GpuUse.EXCLUSIVE and order.exclusive is False:
        message = f"{experiment.slug} measures the GPU and needs it alone"
        raise InvalidRequest.of("exclusive", message, limit={"const": True}, value=False)
    return Plan(
        spec=spec.model_dump(mode="json"),
        workload=_workload(experiment, spec),
        fields=tuple(experiment.spec.model_fields),
        datasets=list(experiment.datasets(spec)),
        time_limit_seconds=order.time_limit_seconds or experiment.default_time_limit_seconds,
        gpus=_gpus(experiment.gpu, order.gpus),
        exclusive=experiment.gpu is GpuUse.EXCLUSIVE if order.exclusive is None else order.exclusive,
    )


def _gpus(use: GpuUse, asked: int | None) -> int | None:
    if use is GpuUse.NONE:
        return 0
    # An emulated GPU computes nothing: a run that needs values uses the CPU, unless a GPU was requested.
    return 0 if use is GpuUse.PREFERRED and asked is None and is_emulated() else asked


def workload(slug: str, given: dict[str, Any]) -> tuple[Workload | ProgramRun | Unpredicted, tuple[str, ...]]:
    """What a run trains, or why that is not known, and the fields of its spec. Raises as `plan`."""
    experiment = _experiment(slug, by_lab=False)
    return _workload(experiment, _spec(experiment, given)), tuple(experiment.spec.model_fields)


def _experiment(slug: str, *, by_lab: bool) -> Experiment[Any, Any]:
    experiment = (runnable() if by_lab else experiments()).get(slug)
    if experiment is None:
        raise _unknown(slug)
    return experiment


def _workload(experiment: Experiment[Any, Any], spec: Any) -> Workload | ProgramRun | Unpredicted:
    try:
        return experiment.workload_of(spec)
    except Exception as error:  # noqa: BLE001 - a stranger's package may fail in any way; its jobs can still run
        log.warning("workload.failed", experiment=experiment.slug, reason=repr(error))
        return Unpredicted("its experiment could not describe its training step")


def _spec(experiment: Experiment[Any, Any], given: dict[str, Any]) -> Any:
    try:
        # As JSON, so that strictness knows lists for tuples and words for enumerations.
        return experiment.spec.model_validate_json(orjson.dumps(given), strict=True)
    except ValidationError as error:
        fields = invalid_fields(error.errors(include_url=False), prefix=["spec"])
        raise InvalidSpec.of_fields(fields) from None


def _summary(experiment: Experiment[Any, Any]) -> dict[str, Any]:
    return {
        "slug": experiment.slug,
        "title": experiment.title,
        "summary": experiment.summary,
        "questions": list(question_sets.questions_with(experiment.slug)),
        "gpu": experiment.gpu.value,
        "has_picture": _picture_of(experiment).is_file(),
    }


def picture(slug: str) -> bytes:
    """The SVG beside an experiment's code. Raises `ExperimentNotFound`, also for an experiment without one."""
    experiment = runnable().get(slug)
    if experiment is None or not (place := _picture_of(experiment)).is_file():
        raise ExperimentNotFound(f"no experiment with a picture is called {shortened(slug)!r}")
    return place.read_bytes()


def _picture_of(experiment: Experiment[Any, Any]) -> Traversable:
    module = experiment.run.partition(":")[0]
    return files(module.rpartition(".")[0] or module).joinpath("picture.svg")


def _unknown(slug: str) -> UnknownExperiment:
    return UnknownExperiment.of("experiment", _no_experiment(slug), limit={"enum": list(experiments())}, value=slug)


def _no_experiment(slug: str) -> str:
    known = list(experiments())
    alike = get_close_matches(slug, known, cutoff=0.5)
    hint = f"similar: {', '.join(alike)}" if alike else f"there are: {', '.join(known)}"
    return f"no experiment is called {slug!r}; {hint}"


def _no_gpu(experiment: Experiment[Any, Any], order: JobCreate) -> InvalidRequest:
    message = f"{experiment.slug} runs on the CPU and takes no GPU"
    asked = {"gpus": order.gpus, "exclusive": order.exclusive, "gpu_memory_bytes": order.gpu_memory_bytes}
    fields = [InvalidField(path=path, message=message, value=value) for path, value in asked.items() if value]
    return InvalidRequest.of_fields(fields)
