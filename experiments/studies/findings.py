"""What a question found, as data: a table, comparisons with their verdicts, and figures to draw. Pure."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

from experiments.studies.intervals import Interval
from experiments.studies.plan import Scale

Cell = str | float | int | bool | Interval | None
Value = str | int | float | Interval | None


class Finding(BaseModel):
    """Base of everything here: frozen, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Verdict(StrEnum):
    """What the data say."""

    AGREES = "agrees"
    """Ours agrees with the correct value, and the sheet, where it says something, does too."""
    SHEET_IS_WRONG = "sheet_is_wrong"
    """Ours agrees with the correct value and the sheet does not, or leaves the question open."""
    DIFFERS = "differs"
    """Ours does not agree with the correct value."""
    UNDECIDED = "undecided"
    """The interval is too wide to decide: more seeds or a larger scale."""
    TOO_SMALL = "too_small"
    """Runs of this size, or on these data, could not show it either way: it is not judged."""
    NOT_MEASURED = "not_measured"
    """There is no measurement of ours."""


class Least(Finding):
    """The least scale whose runs are large enough to judge something."""

    scale: Scale
    because: str
    """Why those of a smaller scale are not."""


class Comparison(Finding):
    """The sheet's value, the correct one and ours."""

    quantity: str
    """What is compared, with its unit."""
    sheet: Value
    """What the sheet says; null where it says nothing."""
    correct: Value
    """The correct value; null where no source fixes it."""
    correct_source: str
    """Where the correct value comes from: a closed form, a count, a published run, a pattern over seeds."""
    ours: Value
    """Ours, with its 95 % interval where seeds matter; null where nothing was measured."""
    verdict: Verdict
    """Computed from the three."""
    because: str
    """The reason, in a sentence."""
    least: Least | None = None
    """The least scale at which it is judged; null for any."""
    digits: int = 5
    """Significant digits to show."""


class Table(Finding):
    """A table to show."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


class Series(Finding):
    """One line, row of dots or set of bars."""

    label: str
    kind: Literal["line", "dashed", "dots", "bars"]
    x: tuple[float, ...]
    y: tuple[float | None, ...]
    low: tuple[float | None, ...] | None = None
    """Lower ends of intervals, drawn as whiskers or a band."""
    high: tuple[float | None, ...] | None = None
    color: int | None = None
    """Which of the palette's colours; series with the same one belong together."""


class Plot(Finding):
    """Axes with series."""

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    x_names: tuple[str, ...] | None = None
    """Names at x = 0, 1, 2, ...; for bars."""
    x_log: bool = False
    y_log: bool = False
    y_range: tuple[float, float] | None = None
    level: float | None = None
    """A horizontal line to compare with."""
    level_label: str = ""


class Heat(Finding):
    """A matrix as coloured squares: a confusion matrix with its counts, or a kernel without."""

    title: str
    values: tuple[tuple[float, ...], ...]
    row_names: tuple[str, ...] = ()
    column_names: tuple[str, ...] = ()
    numbers: bool = False
    """Whether to write the values into the squares."""
    diverging: bool = False
    """Whether 0 is the middle of the colours."""


class FigureSpec(Finding):
    """A figure: panels in a grid, and what it shows in words."""

    name: str
    """Its file name without the ending."""
    title: str
    alt: str
    """For those who cannot see it."""
    panels: tuple[Plot | Heat, ...]
    columns: int = 2


class QuestionReport(Finding):
    """The answer to one question."""

    question: str
    """`1b`"""
    title: str
    statement: str
    """What is asked, in our own words."""
    table: Table | None
    comparisons: tuple[Comparison, ...]
    figures: tuple[FigureSpec, ...] = ()
    notes: tuple[str, ...] = ()
    runs: int = 0
    """How many runs it read."""
    missing: tuple[str, ...] = ()
    """Runs without a result, and why."""
    collapsed: tuple[str, ...] = ()
    """Trainings that gave every image the same class."""

    @property
    def judged(self) -> tuple[Comparison, ...]:
        """The comparisons, but for those that the runs are too small for."""
        return tuple(one for one in self.comparisons if one.verdict is not Verdict.TOO_SMALL)

    @property
    def too_small(self) -> tuple[Comparison, ...]:
        """Those that the runs are too small for."""
        return tuple(one for one in self.comparisons if one.verdict is Verdict.TOO_SMALL)


def at_scale(comparison: Comparison, scale: Scale | None) -> Comparison:
    """The comparison, not judged where runs of the scale are too small for it."""
    least = comparison.least
    judged = least is None or scale is None or scale.reaches(least.scale)
    if judged or comparison.verdict is Verdict.NOT_MEASURED or least is None:
        return comparison
    because = f"{least.because}; scale {least.scale} is large enough"
    return comparison.model_copy(update={"verdict": Verdict.TOO_SMALL, "because": because})


def judge(*, ours_is_right: bool | None, sheet_is_right: bool | None, measured: bool = True) -> Verdict:
    """The verdict from two computed facts; None for `ours_is_right` means that the data cannot decide it.

    `sheet_is_right` is None where the sheet says nothing that could be wrong.
    """
    if not measured:
        return Verdict.NOT_MEASURED
    if ours_is_right is None:
        return Verdict.UNDECIDED
    if not ours_is_right:
        return Verdict.DIFFERS
    return Verdict.SHEET_IS_WRONG if sheet_is_right is False else Verdict.AGREES


def compare_number(
    quantity: str,
    *,
    ours: float | Interval | None,
    correct: float,
    correct_source: str,
    tolerance: float,
    sheet: float | None = None,
    because: str,
    differs_because: str = "",
    not_measured_because: str = "no run of it has finished",
    digits: int = 5,
) -> Comparison:
    """Compare numbers: within `tolerance`, to which an interval of ours adds its margin at 99.9 %.

    `because` is the reason while ours agrees with the correct value.
    """
    right = None if ours is None else _near(ours, correct, tolerance)
    sheet_right = None if sheet is None else abs(sheet - correct) <= tolerance
    verdict = judge(ours_is_right=right, sheet_is_right=sheet_right, measured=ours is not None)
    reasons = {
        Verdict.NOT_MEASURED: not_measured_because,
        Verdict.DIFFERS: differs_because
        or f"our value is outside the tolerance of {tolerance:.3g} around {correct:.6g}",
    }
    return Comparison(
        quantity=quantity,
        sheet=sheet,
        correct=correct,
        correct_source=correct_source,
        ours=ours,
        verdict=verdict,
        because=reasons.get(verdict, because),
        digits=digits,
    )


def compare_claim(
    quantity: str,
    *,
    sheet: str | None,
    correct: str,
    correct_source: str,
    ours: Value,
    ours_is_right: bool | None,
    sheet_is_right: bool | None = None,
    because: str,
    differs_because: str = "our runs do not show it",
    undecided_because: str = "the interval contains both answers; more seeds or a larger scale would decide it",
    not_measured_because: str = "no run of it has finished",
    least: Least | None = None,
    too_small_because: str | None = None,
) -> Comparison:
    """Compare what is said in words, by conditions that the caller computed from the runs.

    Runs that could not show it either way, whatever their scale, have a `too_small_because`.
    """
    verdict = judge(ours_is_right=ours_is_right, sheet_is_right=sheet_is_right, measured=ours is not None)
    if too_small_because is not None and verdict is not Verdict.NOT_MEASURED:
        verdict = Verdict.TOO_SMALL
    reasons = {
        Verdict.NOT_MEASURED: not_measured_because,
        Verdict.DIFFERS: differs_because,
        Verdict.UNDECIDED: undecided_because,
        Verdict.TOO_SMALL: too_small_because,
    }
    return Comparison(
        quantity=quantity,
        sheet=sheet,
        correct=correct,
        correct_source=correct_source,
        ours=ours,
        verdict=verdict,
        because=reasons.get(verdict) or because,
        least=least,
    )


def _near(ours: float | Interval, correct: float, tolerance: float) -> bool:
    if isinstance(ours, Interval):
        return ours.holds(correct, tolerance=tolerance)
    return abs(ours - correct) <= tolerance


def counts(reports: Sequence[QuestionReport]) -> dict[str, int]:
    """How many comparisons have each verdict."""
    found = [comparison.verdict for report in reports for comparison in report.comparisons]
    return {verdict.value: found.count(verdict) for verdict in Verdict}
