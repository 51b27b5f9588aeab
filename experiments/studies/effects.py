"""What the fields of a study do to its results: means by value, and the share of the variance that each explains.

Pure. The runs of one experiment are a grid over the fields that differ between them. All combinations weigh the same,
however many of their runs have a result.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any
from uuid import UUID

from experiments.registry import runnable
from experiments.studies.importance import Combination, Grid, importance, margins, mean
from experiments.studies.outcome import SUCCEEDED, RunOutcome
from experiments.studies.summary import ENDED_BADLY, numbers
from gpulab.schemas import FieldValueRead, StudyEffectRead, StudyEffectsRead, StudyFieldRead, StudyTrainingRead
from gpulab.states import JobState

NO_FIELDS = frozenset({"experiment", "replicas"})
"""Coordinates that are none: the experiment is chosen, and replicas are what counts."""


@dataclass(frozen=True, slots=True)
class Training:
    """One run, or one replica of it."""

    run: RunOutcome
    seed: int
    numbers: Mapping[str, float]


def trainings_of(outcomes: Sequence[RunOutcome]) -> list[Training]:
    """Every training of the runs; a run without a result is one, too."""
    found: list[Training] = []
    for run in outcomes:
        replicas = [Training(run, seed, numbers(result)) for seed, result in run.replicas]
        found += replicas or [Training(run, run.seed, {})]
    return found


def results_of(trainings: Sequence[Training]) -> list[str]:
    """The numbers of the trainings, in the order of the experiment's result; those that never differ come last."""
    values: defaultdict[str, set[float]] = defaultdict(set)
    for training in trainings:
        for name, number in training.numbers.items():
            values[name].add(number)
    entry = runnable().get(trainings[0].run.experiment) if trainings else None
    names = _in_order(values, [] if entry is None else entry.result.model_fields)
    return sorted(names, key=lambda name: len(values[name]) < 2)


def fields_of(runs: Sequence[RunOutcome]) -> list[StudyFieldRead]:
    """The fields that differ between the runs, in the order of the experiment's spec, with their values."""
    given = dict.fromkeys(name for run in runs for name in run.cell if name not in NO_FIELDS)
    entry = runnable().get(runs[0].experiment) if runs else None
    names = _in_order(given, [] if entry is None else entry.spec.model_fields)
    fields = [StudyFieldRead(name=name, values=_ordered([_value(run, name) for run in runs])) for name in names]
    return [field for field in fields if len(field.values) > 1]


def _in_order(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """A database keeps no order of fields: that of the experiment, and names that it does not know last."""
    places = {name: place for place, name in enumerate(known)}
    return sorted(names, key=lambda name: places.get(re.split(r"[.\[]", name)[0], len(places)))


def effects(
    experiment: str,
    experiments: Sequence[str],
    trainings: Sequence[Training],
    known: Sequence[str],
    chosen: Sequence[str],
) -> StudyEffectsRead:
    """The numbers behind the charts of a study, from the trainings of one experiment, for the `chosen` results."""
    fields = fields_of([training.run for training in trainings])
    placed = _placed(fields, trainings)
    return StudyEffectsRead(
        experiment=experiment,
        experiments=list(experiments),
        known_results=list(known),
        results=list(chosen),
        fields=fields,
        trainings=[_read(training, fields, at, chosen) for at, training in placed],
        effects=[_effect(name, fields, placed) for name in chosen],
    )


Placed = Sequence[tuple[Combination, Training]]
"""Each training with its combination: the place of its value of each field."""


def _placed(fields: Sequence[StudyFieldRead], trainings: Sequence[Training]) -> Placed:
    places = [{_key(value): place for place, value in enumerate(field.values)} for field in fields]
    return [
        (tuple(place[_key(_value(one.run, field.name))] for place, field in zip(places, fields, strict=True)), one)
        for one in trainings
    ]


def _read(
    training: Training, fields: Sequence[StudyFieldRead], at: Combination, chosen: Sequence[str]
) -> StudyTrainingRead:
    run = training.run
    return StudyTrainingRead(
        job_id=None if run.job_id is None else UUID(run.job_id),
        seed=training.seed,
        state=JobState(run.state),
        why=run.why_not or "no result" if _has_failed(training) else "",
        values=[field.values[place] for field, place in zip(fields, at, strict=True)],
        numbers=[training.numbers.get(name) for name in chosen],
    )


def _effect(name: str, fields: Sequence[StudyFieldRead], placed: Placed) -> StudyEffectRead:
    found: dict[Combination, dict[int, float]] = {}
    for at, training in placed:
        by_seed = found.setdefault(at, {})
        if name in training.numbers:
            by_seed[training.seed] = training.numbers[name]
    grid = Grid(levels=tuple(len(field.values) for field in fields), found=found)
    failed = sum(_has_failed(training) for _, training in placed)
    return StudyEffectRead(
        result=name,
        fields=[_values(name, place, field, grid, placed) for place, field in enumerate(fields)],
        importance=importance([field.name for field in fields], grid, failed=failed),
    )


def _values(name: str, field: int, read: StudyFieldRead, grid: Grid, placed: Placed) -> list[FieldValueRead]:
    by_value: list[list[Training]] = [[] for _ in read.values]
    for at, training in placed:
        by_value[at[field]].append(training)
    return [_at(value, name, by_value[level], grid.part(field, level)) for level, value in enumerate(read.values)]


def _at(value: Any, name: str, trainings: Sequence[Training], part: Grid) -> FieldValueRead:
    known = [training.numbers[name] for training in trainings if name in training.numbers]
    center, widths = mean(part), margins(part, mean)
    middle = center[0] if center else fmean(known) if known else None
    ends = (middle - widths[0], middle + widths[0]) if middle is not None and center and widths else (None, None)
    return FieldValueRead(
        value=value,
        mean=middle,
        low=ends[0],
        high=ends[1],
        runs=len(known),
        failed=sum(map(_has_failed, trainings)),
    )


def _has_failed(training: Training) -> bool:
    run = training.run
    return run.state in ENDED_BADLY or (run.state == SUCCEEDED and run.result is None)


def _value(run: RunOutcome, name: str) -> Any:
    """From the grid. Coordinates of a template leave defaults out, so theirs come from the spec."""
    if name in run.cell:
        return run.cell[name]
    field, dot, key = name.partition(".")
    found = run.spec.get(field)
    return found.get(key) if dot and isinstance(found, Mapping) else None if dot else found


def _key(value: Any) -> str:
    # As JSON, in which 1 and true differ.
    return json.dumps(value, sort_keys=True)


def _ordered(values: Sequence[Any]) -> list[Any]:
    different = list({_key(value): value for value in values}.values())
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in different):
        return sorted(different)
    return different
