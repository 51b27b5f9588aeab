"""The comparison table of any study: every number of the results, over the seeds of each cell."""

import json
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from experiments.registry import runnable
from experiments.studies.outcome import SUCCEEDED, RunOutcome


class Statistic(BaseModel):
    """One number over the runs of a cell."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    mean: float
    """Mean over the runs."""
    sd: float | None
    """Standard deviation (n - 1); null for a single run."""
    min: float
    """The least."""
    max: float
    """The greatest."""
    n: int
    """How many runs, or replicas of them, have it."""


class NamedRun(BaseModel):
    """A run that a reader of the table must know of."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    seed: int
    """Its seed."""
    job_id: str | None
    """Its job."""
    why: str
    """`collapsed`, or how it failed."""


class CellSummary(BaseModel):
    """One row of the comparison: the runs that differ in the seed alone."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    cell: dict[str, JsonValue]
    """The coordinates."""
    experiment: str
    """Slug of the experiment."""
    runs: int
    """Planned runs."""
    states: dict[str, int]
    """How many of them are in each state."""
    job_ids: list[str]
    """Their jobs."""
    reported_by: Literal["lab", "program"] = "lab"
    """Who the results' numbers are from: `program` for what a student's program says of itself."""
    fields: dict[str, Statistic]
    """Statistics of the results' numbers, by field; `weights[0]` for a place in a short list."""
    collapsed: list[NamedRun]
    """Trainings that gave every image the same class."""
    failed: list[NamedRun]
    """Runs that ended without a result."""


MAX_NUMBER = 1e100
"""The sum of the squares of larger numbers may be none that a computer can hold."""
MAX_LIST = 8
"""Longer lists are series, not numbers to compare."""
ENDED_BADLY = frozenset({"failed", "cancelled"})


def compare(outcomes: Sequence[RunOutcome]) -> list[CellSummary]:
    """One row a cell, in order of first mention; pure, and the same whatever order the runs finished in."""
    cells: dict[str, list[RunOutcome]] = {}
    for outcome in outcomes:
        cells.setdefault(json.dumps([outcome.experiment, _cell(outcome)], sort_keys=True), []).append(outcome)
    return [_summarise(sorted(runs, key=lambda run: run.seed)) for runs in cells.values()]


def statistic(values: Iterable[float]) -> Statistic:
    """Mean, standard deviation and range of at least one number."""
    known = list(values)
    sd = stdev(known) if len(known) > 1 else None
    return Statistic(mean=fmean(known), sd=sd, min=min(known), max=max(known), n=len(known))


def numbers(result: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers of a result: its own fields and the places of short lists; true and false count 1 and 0."""
    found: dict[str, float] = {}
    for name, value in result.items():
        if name == "seed":
            continue
        if (number := _number(value)) is not None:
            found[name] = number
        elif isinstance(value, list) and len(value) <= MAX_LIST:
            places = {f"{name}[{place}]": _number(item) for place, item in enumerate(value)}
            found |= {place: number for place, number in places.items() if number is not None}
    return found


def runs_programs(slug: str) -> bool:
    """Whether the runs of an experiment are students' programs, which report their results themselves."""
    experiment = runnable().get(slug)
    return experiment is not None and experiment.sandboxed


def _summarise(runs: Sequence[RunOutcome]) -> CellSummary:
    trainings = [(run, seed, result) for run in runs for seed, result in run.replicas]
    values: dict[str, list[float]] = {}
    for _, _, result in trainings:
        for name, value in numbers(result).items():
            values.setdefault(name, []).append(value)
    states = [run.state for run in runs]
    return CellSummary(
        cell=_cell(runs[0]),
        experiment=runs[0].experiment,
        runs=len(runs),
        states={state: states.count(state) for state in dict.fromkeys(states)},
        job_ids=[run.job_id for run in runs if run.job_id],
        reported_by="program" if runs_programs(runs[0].experiment) else "lab",
        fields={name: statistic(known) for name, known in values.items()},
        collapsed=[
            NamedRun(seed=seed, job_id=run.job_id, why="collapsed")
            for run, seed, result in trainings
            if result.get("collapsed") is True
        ],
        failed=[
            NamedRun(
                seed=run.seed, job_id=run.job_id, why=": ".join(filter(None, (run.cause, run.message))) or run.state
            )
            for run in runs
            if run.state in ENDED_BADLY or (run.state == SUCCEEDED and run.result is None)
        ],
    )


def _cell(outcome: RunOutcome) -> dict[str, JsonValue]:
    """The coordinates; how many replicas a run trains is no coordinate, its replicas are what counts."""
    return {name: value for name, value in outcome.cell.items() if name != "replicas"}


def _number(value: object) -> float | None:
    if isinstance(value, bool | int | float) and abs(value) <= MAX_NUMBER:
        return float(value)
    return None
