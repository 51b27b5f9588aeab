"""Which runs a study consists of. The same experiment, spec and seed is the same run, for every user."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product
from typing import Any, get_origin

from pydantic import JsonValue, ValidationError

from experiments.contract import Experiment
from experiments.registry import experiments, runnable

MAX_RUNS = 2000
MAX_SEEDS = 200
MAX_SEED = 2**63 - 1
REPLICAS_A_RUN = 5
"""Seeds that one vectorised run trains at most: seeds 0 to 4, 5 to 9, ..., so that later seeds leave those alone."""


class Scale(StrEnum):
    """How large the installed question is asked."""

    SMOKE = "smoke"
    """Seconds: shows that everything works, promises no finding."""
    CPU = "cpu"
    """Minutes on two cores: large enough for the findings."""
    FULL = "full"
    """The sizes that the question set itself states."""

    def reaches(self, least: "Scale") -> bool:
        """Whether it is at least that large."""
        sizes = list(Scale)
        return sizes.index(self) >= sizes.index(least)


@dataclass(frozen=True, slots=True)
class WrongField:
    """One thing that is wrong with what was asked for."""

    path: tuple[str | int, ...]
    """Where in the request: `("grid", "learning_rate", 1)`."""
    message: str
    value: JsonValue = None


class PlanError(ValueError):
    """What was asked for is no study; `errors` names every wrong field."""

    def __init__(self, *errors: WrongField) -> None:
        super().__init__("; ".join(f"{'.'.join(map(str, error.path))}: {error.message}" for error in errors))
        self.errors = errors


@dataclass(frozen=True, slots=True)
class RunPlan:
    """One run: everything a job needs."""

    experiment: str
    spec: dict[str, Any]
    """Complete: every default is filled in."""
    seed: int
    questions: tuple[str, ...] = ()
    """The questions that read this run, each by its template, `course/1b`; none for a grid."""
    cell: Mapping[str, JsonValue] | None = None
    """Coordinates by which tables name the run; runs that differ in the seed alone share them."""

    @property
    def key(self) -> str:
        """Equal for equal runs, now and later."""
        return run_key(self.experiment, self.spec, self.seed)


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """A study before it runs."""

    template: str | None
    """`course/1b`; null for a grid."""
    scale: Scale | None
    title: str
    questions: tuple[str, ...]
    """Each by its template, `course/1b`; none for a grid."""
    runs: tuple[RunPlan, ...]
    notes: tuple[str, ...] = ()
    """What a reader must know, such as a data set that stands in for another."""


def run_key(experiment: str, spec: Mapping[str, Any], seed: int) -> str:
    """The run's identity as text: its experiment, its complete spec in a fixed order, its seed."""
    return json.dumps([experiment, spec, seed], sort_keys=True, separators=(",", ":"))


def plan_run(experiment: str, given: Mapping[str, Any], seed: int, question: str) -> RunPlan:
    """A run of the catalogue for a question; its cell is whatever differs from the experiment's defaults."""
    entry = runnable()[experiment]
    spec = _complete(entry, given)
    defaults = _complete(entry, {})
    cell = {name: value for name, value in spec.items() if value != defaults[name]}
    return RunPlan(experiment, spec, seed, (question,), {"experiment": experiment, **cell})


def merge(runs: Iterable[RunPlan]) -> tuple[RunPlan, ...]:
    """Each run once, in order of first mention, with all the questions that asked for it."""
    found: dict[str, RunPlan] = {}
    for run in runs:
        if (known := found.get(run.key)) is None:
            found[run.key] = run
        else:
            questions = tuple(dict.fromkeys(known.questions + run.questions))
            found[run.key] = replace(known, questions=questions)
    return tuple(found.values())


def check_seeds(seeds: Sequence[int]) -> tuple[int, ...]:
    """The seeds in the order given; raises `PlanError` for none, too many, one out of range or named twice."""
    if not 1 <= len(seeds) <= MAX_SEEDS:
        raise PlanError(WrongField(("seeds",), f"between 1 and {MAX_SEEDS} seeds, not {len(seeds)}", len(seeds)))
    wrong = [
        WrongField(("seeds", place), f"a whole number from 0 to {MAX_SEED}", seed)
        for place, seed in enumerate(seeds)
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= MAX_SEED
    ]
    wrong += [
        WrongField(("seeds", place), "named twice", seed) for place, seed in enumerate(seeds) if seed in seeds[:place]
    ]
    if wrong:
        raise PlanError(*wrong)
    return tuple(seeds)


def seed_blocks(seeds: Sequence[int]) -> list[tuple[int, int]]:
    """Seeds as (first seed, how many) for runs that train neighbouring seeds together, `REPLICAS_A_RUN` at most.

    Blocks begin at multiples of that number, so that a whole block stays the same run when seeds are added.
    """
    blocks: list[tuple[int, int]] = []
    for seed in sorted(seeds):
        first, count = blocks[-1] if blocks else (-1, 0)
        if blocks and seed == first + count and seed % REPLICAS_A_RUN:
            blocks[-1] = (first, count + 1)
        else:
            blocks.append((seed, 1))
    return blocks


def expand_grid(
    experiment: str,
    base: Mapping[str, Any],
    grid: Mapping[str, Sequence[JsonValue]],
    seeds: Sequence[int],
    title: str | None = None,
) -> StudyPlan:
    """Every combination of the grid's values, each with every seed; `base` holds for all of them.

    Raises `PlanError` that names each wrong field of `experiment`, `base`, `grid` or `seeds`.
    """
    entry = experiments().get(experiment)
    if entry is None:
        raise PlanError(WrongField(("experiment",), f"unknown; known: {', '.join(experiments())}", experiment))
    chosen_seeds = check_seeds(seeds)
    _check_axes(entry, base, grid)
    count = len(chosen_seeds)
    for values in grid.values():
        count *= len(values)
    if count > MAX_RUNS:
        raise PlanError(WrongField(("grid",), f"at most {MAX_RUNS} runs, this grid makes {count}", count))
    runs: list[RunPlan] = []
    for values in product(*grid.values()):
        cell = dict(zip(grid, values, strict=True))
        spec = _checked_cell(entry, base, cell, grid)
        runs += [RunPlan(experiment, spec, seed, (), cell) for seed in chosen_seeds]
    return StudyPlan(None, None, title or f"{entry.title}: {_axes_in_words(grid)}", (), merge(runs))


def _check_axes(entry: Experiment[Any, Any], base: Mapping[str, Any], grid: Mapping[str, Sequence[JsonValue]]) -> None:
    wrong: list[WrongField] = []
    for name, values in grid.items():
        if not _is_axis(entry, name):
            fields = ", ".join(entry.spec.model_fields)
            wrong.append(WrongField(("grid", name), f"{entry.slug} has no such field; it has: {fields}", name))
        elif isinstance(values, str) or not isinstance(values, Sequence) or not values:
            wrong.append(WrongField(("grid", name), "a list with at least one value", None))
        elif len(values) > MAX_RUNS:
            wrong.append(WrongField(("grid", name), f"at most {MAX_RUNS} values, not {len(values)}", len(values)))
        elif _is_given(name, base):
            wrong.append(WrongField(("grid", name), "is in base too; give it only once", None))
        elif name.partition(".")[0] in grid.keys() - {name}:
            wrong.append(WrongField(("grid", name), "the whole field is in the grid too; give it only once", None))
        else:
            wrong += _named_twice(name, values)
    if wrong:
        raise PlanError(*wrong)


def _is_axis(entry: Experiment[Any, Any], name: str) -> bool:
    """A field, or `field.name` for one entry of a field that holds values by name, as `parameters.lr` of a program."""
    field, dot, key = name.partition(".")
    found = entry.spec.model_fields.get(field)
    return found is not None and (not dot or (bool(key) and get_origin(found.annotation) is dict))


def _is_given(name: str, base: Mapping[str, Any]) -> bool:
    field, dot, key = name.partition(".")
    given = base.get(field)
    return field in base and (not dot or (isinstance(given, Mapping) and key in given))


def _with_cell(base: Mapping[str, Any], cell: Mapping[str, JsonValue]) -> dict[str, Any]:
    spec = dict(base)
    for name, value in cell.items():
        field, dot, key = name.partition(".")
        if not dot:
            spec[field] = value
        elif isinstance(given := spec.get(field, {}), Mapping):
            spec[field] = {**given, key: value}
    return spec


def _named_twice(name: str, values: Sequence[JsonValue]) -> Iterator[WrongField]:
    seen: set[str] = set()
    for place, value in enumerate(values):
        # As JSON, in which 1, 1.0 and true differ.
        text = json.dumps(value, sort_keys=True)
        if text in seen:
            yield WrongField(("grid", name, place), "named twice", value)
        seen.add(text)


def _checked_cell(
    entry: Experiment[Any, Any],
    base: Mapping[str, Any],
    cell: Mapping[str, JsonValue],
    grid: Mapping[str, Sequence[JsonValue]],
) -> dict[str, Any]:
    try:
        return _complete(entry, _with_cell(base, cell))
    except ValidationError as error:
        wrong = [
            WrongField(_where(problem["loc"], cell, grid), problem["msg"], _short(problem["input"]))
            for problem in error.errors(include_url=False)
        ]
    raise PlanError(*wrong)


def _where(
    location: tuple[int | str, ...], cell: Mapping[str, JsonValue], grid: Mapping[str, Sequence[JsonValue]]
) -> tuple[str | int, ...]:
    """The path in the request of a path in the spec; what concerns several fields concerns the grid as a whole."""
    if not location:
        return ("grid",)
    for length in (1, 2):
        name = ".".join(str(part) for part in location[:length])
        if name in grid:
            return ("grid", name, list(grid[name]).index(cell[name]), *location[length:])
    return ("base", *location)


def _complete(entry: Experiment[Any, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    # As JSON and strictly, as a job's spec is read: "5" is no number.
    spec: dict[str, Any] = entry.spec.model_validate_json(json.dumps(dict(given)), strict=True).model_dump(mode="json")
    return spec


def _short(value: object) -> JsonValue:
    return value if isinstance(value, bool | int | float) or value is None else str(value)[:200]


def _axes_in_words(grid: Mapping[str, Sequence[JsonValue]]) -> str:
    return " x ".join(f"{len(values)} of {name}" for name, values in grid.items()) or "one spec"
