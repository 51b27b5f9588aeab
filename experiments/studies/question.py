"""An installed question: which runs it needs, and what they say."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from experiments.hosting.emulated import source_of
from experiments.studies.findings import Comparison, FigureSpec, Least, QuestionReport, Table, at_scale
from experiments.studies.intervals import Interval, interval
from experiments.studies.outcome import RunOutcome
from experiments.studies.plan import Scale

Sizes = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Need:
    """One spec that a question needs runs of."""

    experiment: str
    spec: Mapping[str, Any] = field(default_factory=dict)
    seeded: bool = True
    """Whether each seed is a separate run; False for a computation without chance, which runs once."""
    trainings: int = 1
    """Independent trainings for each seed of the study, where they are cheap and differ much."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What the runs of a study are made for."""

    scale: Scale
    datasets: Collection[str]

    def pick(self, *, smoke: Any, cpu: Any, full: Any) -> Any:
        """The value for the scale."""
        return {Scale.SMOKE: smoke, Scale.CPU: cpu, Scale.FULL: full}[self.scale]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the runs of a question say."""

    comparisons: Sequence[Comparison]
    table: Table | None = None
    figures: Sequence[FigureSpec] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Runs:
    """The finished runs of a question."""

    outcomes: Sequence[RunOutcome]

    def where(self, experiment: str, **fields: Any) -> "Runs":
        """Those of an experiment whose spec has these values."""
        return Runs(
            [
                outcome
                for outcome in self.outcomes
                if outcome.experiment == experiment
                and all(outcome.spec.get(name) == value for name, value in fields.items())
            ]
        )

    def by(self, name: str) -> "dict[Any, Runs]":
        """Split by a field of the spec, in ascending order."""
        values = {outcome.spec[name] for outcome in self.outcomes}
        return {value: Runs([run for run in self.outcomes if run.spec[name] == value]) for value in sorted(values)}

    @property
    def without_collapsed(self) -> "Runs":
        """Those trainings alone that did not collapse, for what is said of a network that learns."""
        return Runs([outcome.without_collapsed for outcome in self.outcomes])

    @property
    def results(self) -> list[dict[str, Any]]:
        """One result for each independent training, in the order of the seeds."""
        found = [pair for outcome in self.outcomes for pair in outcome.replicas]
        return [result for _, result in sorted(found, key=lambda pair: pair[0])]

    @property
    def emulated(self) -> str | None:
        """How their memory must be called where the GPU was emulated; None where none was."""
        return next(filter(None, (source_of(outcome.device_name) for outcome in self.outcomes)), None)

    @property
    def first(self) -> dict[str, Any] | None:
        """The result of the lowest seed; None before any run has finished."""
        return next(iter(self.results), None)

    def values(self, read: "str | Callable[[dict[str, Any]], float | None]") -> list[float]:
        """A number of each result, leaving out those that lack it."""
        reader = read if callable(read) else lambda result: result[read]
        return [float(value) for result in self.results if (value := reader(result)) is not None]

    def interval(self, read: "str | Callable[[dict[str, Any]], float | None]") -> Interval | None:
        """Mean and interval of a number over the results; None before any run has finished."""
        values = self.values(read)
        return interval(values) if values else None

    def __iter__(self) -> Iterator[RunOutcome]:
        return iter(self.outcomes)

    def __bool__(self) -> bool:
        return any(outcome.result is not None for outcome in self.outcomes)


@dataclass(frozen=True, slots=True)
class Question:
    """An installed question."""

    slug: str
    """`1b`"""
    title: str
    statement: str
    """What is asked, in our own words."""
    needs: Callable[[Setting], Sequence[Need]]
    answer: Callable[[Runs], Answer]
    least: Least | None = None
    """The least scale at which its comparisons are judged, where they name none themselves."""

    def report(self, outcomes: Sequence[RunOutcome], scale: Scale | None = None) -> QuestionReport:
        """What its runs say. Names those without a result, and judges only what runs of the scale can show."""
        answer = self.answer(Runs([outcome for outcome in outcomes if outcome.result is not None]))
        return QuestionReport(
            question=self.slug,
            title=self.title,
            statement=self.statement,
            table=answer.table,
            comparisons=tuple(at_scale(self._with_least(one), scale) for one in answer.comparisons),
            figures=tuple(answer.figures),
            notes=tuple(answer.notes),
            runs=len(outcomes),
            missing=tuple(_missing(outcome) for outcome in outcomes if outcome.result is None),
            collapsed=tuple(_collapsed(outcomes)),
        )

    def _with_least(self, comparison: Comparison) -> Comparison:
        return comparison.model_copy(update={"least": comparison.least or self.least})


def _missing(outcome: RunOutcome) -> str:
    return f"{_named(outcome)}, seed {outcome.seed}: {outcome.why_not or outcome.state}"


def _collapsed(outcomes: Sequence[RunOutcome]) -> Iterator[str]:
    for outcome in outcomes:
        seeds = [str(seed) for seed, result in outcome.replicas if result.get("collapsed") is True]
        if seeds:
            yield f"{_named(outcome)}: seed {', '.join(seeds)}"


def _named(outcome: RunOutcome) -> str:
    cell = (f"{name} {value}" for name, value in outcome.cell.items() if name not in {"experiment", "replicas"})
    return ", ".join([outcome.experiment, *cell])
