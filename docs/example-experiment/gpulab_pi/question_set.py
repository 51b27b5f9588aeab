"""A question set with one question: how the error of the estimate shrinks. No torch here: the API reads this module."""

import math
from collections.abc import Sequence

from experiments.studies.findings import FigureSpec, Plot, Series, Table, compare_number
from experiments.studies.question import Answer, Need, Question, Runs, Setting
from experiments.studies.question_set import Part, QuestionSet

DARTS = "darts"


def needs(setting: Setting) -> Sequence[Need]:
    """The runs that answer the question: several counts of darts, each with every seed of the study."""
    counts = setting.pick(smoke=(1_000, 10_000), cpu=(1_000, 10_000, 100_000), full=(1_000, 100_000, 10_000_000))
    return [Need(DARTS, {"darts": count, "rounds": 10}) for count in counts]


def answer(runs: Runs) -> Answer:
    """What the finished runs say. Some may be missing."""
    by_darts = {count: some.interval("pi") for count, some in runs.by("darts").items()}
    if not by_darts:
        return Answer([])
    most = max(by_darts)
    comparison = compare_number(
        f"pi from {most:,} darts",
        ours=by_darts[most],
        correct=math.pi,
        correct_source="the constant",
        # Four standard errors of the estimate of one run.
        tolerance=4 * math.sqrt(math.pi * (4 - math.pi) / most),
        sheet=22 / 7,
        because="the mean over the seeds",
    )
    table = Table(caption="Mean over the seeds", columns=("darts", "pi"), rows=tuple(by_darts.items()))
    means = tuple(None if found is None else found.mean for found in by_darts.values())
    line = Series(label="mean", kind="line", x=tuple(by_darts), y=means)
    plot = Plot(title="Estimates", x_label="darts", y_label="pi", series=(line,), x_log=True, level=math.pi)
    figure = FigureSpec(name="estimates", title="Pi by darts", alt="The mean estimate of pi by darts.", panels=(plot,))
    return Answer([comparison], table, [figure])


QUESTION_SET = QuestionSet(
    slug="pi",
    title="All about pi",
    parts=(
        Part(
            slug="1",
            title="Random numbers",
            questions=(
                Question(
                    slug="1a",
                    title="Pi by throwing darts",
                    statement="How close to pi does the share of darts within the quarter circle come?",
                    needs=needs,
                    answer=answer,
                ),
            ),
        ),
    ),
)
