"""A study's report as data: every question's answer, and where it all comes from."""

import math
from collections.abc import Sequence

from experiments.studies.findings import FigureSpec, Finding, Plot, QuestionReport, Series, Verdict, counts
from experiments.studies.intervals import Interval
from experiments.studies.outcome import RunOutcome
from experiments.studies.plan import Scale
from experiments.studies.question_sets import question_set_of
from experiments.studies.summary import CellSummary, compare, runs_programs

NO_BREAK = "\N{NO-BREAK SPACE}"
MAX_SERIES_IN_WORDS = 8
NOT_MEASURED = "The lab measured only how long they ran and how they ended."


class Glance(Finding):
    """A place where the sheet is wrong, or silent, in one line."""

    question: str
    quantity: str
    sheet: str
    correct: str
    because: str


class Provenance(Finding):
    """What the numbers must be quoted with."""

    runs: int
    finished: int
    experiments: tuple[str, ...]
    seeds: tuple[int, ...]
    devices: tuple[str, ...]
    versions: tuple[str, ...]
    """One line for each distinct set of versions."""
    job_ids: tuple[str, ...]
    """The lab's jobs; empty without a server."""
    compute_seconds: float | None
    """Wall-clock time of all runs together; null where none is known."""


class StudyReport(Finding):
    """Everything that a report shows; the content of `findings.json`."""

    title: str
    template: str | None
    scale: str | None
    questions: tuple[QuestionReport, ...]
    verdicts: dict[str, int]
    """How many comparisons have each verdict."""
    glance: tuple[Glance, ...]
    comparison: tuple[CellSummary, ...]
    """The table of a grid; empty for a question set, whose questions have their own."""
    provenance: Provenance
    notes: tuple[str, ...]


def report(
    title: str,
    outcomes: Sequence[RunOutcome],
    *,
    template: str | None = None,
    scale: str | None = None,
    questions: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> StudyReport:
    """Answer the questions, named by their templates, from whatever has finished so far."""
    answered = [_answered(name, outcomes, Scale(scale) if scale else None) for name in questions]
    return StudyReport(
        title=title,
        template=template,
        scale=scale,
        questions=tuple(answered),
        verdicts=counts(answered),
        glance=tuple(_glance(answered)),
        comparison=() if answered else tuple(compare(outcomes)),
        provenance=_provenance(outcomes),
        notes=(*notes, *_claims(outcomes)),
    )


def _claims(outcomes: Sequence[RunOutcome]) -> list[str]:
    """What of a report students' programs say, if there are any."""
    programs = sorted({outcome.experiment for outcome in outcomes if runs_programs(outcome.experiment)})
    names = " and ".join(programs)
    return (
        [f"The programs of the {names} runs report their numbers and versions themselves. {NOT_MEASURED}"]
        if programs
        else []
    )


def _answered(name: str, outcomes: Sequence[RunOutcome], scale: Scale | None) -> QuestionReport:
    question_set = question_set_of(name)
    if question_set is None:
        raise ValueError(f"no installed question set has the question {name}")
    return question_set.report(name.partition("/")[2], outcomes, scale)


def _glance(questions: Sequence[QuestionReport]) -> list[Glance]:
    """The first comparison for each thing the sheet says wrongly: weights and their like come in pairs."""
    found: dict[tuple[str, str], Glance] = {}
    for question in questions:
        for one in question.comparisons:
            if one.verdict is Verdict.SHEET_IS_WRONG:
                line = Glance(
                    question=question.question,
                    quantity=one.quantity,
                    sheet=shown(one.sheet, one.digits),
                    correct=shown(one.correct, one.digits),
                    because=one.because,
                )
                found.setdefault((question.question, one.because), line)
    return list(found.values())


def shown(value: object, digits: int = 5) -> str:
    """A value as text: significant digits, thousands apart; a mean to the precision of its interval's half-width."""
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case Interval():
            return _mean_and_margin(value, digits)
        case int():
            return f"{value:,}"
        case float():
            return _number(value, digits)
    return str(value)


def described(figure: FigureSpec) -> str:
    """What a figure shows, for those who cannot see it: its sentence, and where each of its series begins and ends."""
    plots = [panel for panel in figure.panels if isinstance(panel, Plot)]
    return " ".join([figure.alt, *(_plot_in_words(plot) for plot in plots)])


def _plot_in_words(plot: Plot) -> str:
    named = [series for series in plot.series if series.label and series.y][:MAX_SERIES_IN_WORDS]
    return f"{plot.title}. " + "; ".join(f"{series.label}: {_series_in_words(plot, series)}" for series in named) + "."


def _series_in_words(plot: Plot, series: Series) -> str:
    if plot.x_names:
        return ", ".join(f"{name} {shown(value, 3)}" for name, value in zip(plot.x_names, series.y, strict=False))
    ends = [(series.x[place], series.y[place]) for place in sorted({0, len(series.y) - 1})]
    return " to ".join(f"{shown(y, 3)} at {shown(x, 3)}" for x, y in ends)


def _mean_and_margin(value: Interval, digits: int) -> str:
    margin = value.high - value.mean
    if value.sd is None or margin == 0:
        return _number(value.mean, digits)
    if not 1e-4 <= margin < 1e6:
        return f"{_number(value.mean, digits)} ± {margin:.1e}".replace(" ", NO_BREAK)
    decimals = max(0, 1 - math.floor(math.log10(margin)))
    return f"{value.mean:,.{decimals}f} ± {margin:,.{decimals}f}".replace(" ", NO_BREAK)


def _number(value: float, digits: int) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}" if value == 0 or abs(value) >= 1e-4 else f"{value:.1e}"


def _provenance(outcomes: Sequence[RunOutcome]) -> Provenance:
    finished = [outcome for outcome in outcomes if outcome.result is not None]
    durations = [outcome.duration_seconds for outcome in outcomes if outcome.duration_seconds is not None]
    versions = {
        ", ".join(f"{name} {number}" for name, number in sorted((run.versions or {}).items())) for run in finished
    }
    devices = {run.device_name or run.device for run in finished}
    return Provenance(
        runs=len(outcomes),
        finished=len(finished),
        experiments=tuple(sorted({run.experiment for run in outcomes})),
        seeds=tuple(sorted({seed for run in finished for seed, _ in run.replicas})),
        devices=tuple(sorted(device for device in devices if device)),
        versions=tuple(sorted(line for line in versions if line)),
        job_ids=tuple(run.job_id for run in outcomes if run.job_id),
        compute_seconds=sum(durations) if durations else None,
    )
