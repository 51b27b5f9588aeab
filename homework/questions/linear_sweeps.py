"""Questions 1g and 1h: the dropout rate from 0 to 1, and Adam and SGD."""

from collections.abc import Sequence

from experiments.studies.findings import (
    Cell,
    Comparison,
    FigureSpec,
    Plot,
    Series,
    Table,
    compare_claim,
    compare_number,
)
from experiments.studies.intervals import Interval
from experiments.studies.question import Answer, Need, Question, Runs, Setting
from homework.questions.linear_shared import SLUG, is_the_mean
from homework.questions.linear_theory import clean_loss, mean_after, solution, train_loss, weight

RATES = (0.1, 0.3, 0.5, 0.7)
NEARLY_ZERO = 1e-6
GRID = tuple(place / 100 for place in range(1, 99))
STEPS = 10_000
REACHED = 0.03
"""How near the weights must come to the limit that a comparison names."""


def _trained(setting: Setting, rates: Sequence[float], optimizer: str = "sgd") -> list[Need]:
    batch = setting.pick(smoke=256, cpu=1024, full=1024)
    changed = {} if optimizer == "sgd" else {"optimizer": optimizer}
    still = Need(SLUG, {**changed, "iterations": STEPS}, seeded=False)
    return [still, *(Need(SLUG, {**changed, "iterations": STEPS, "batch_size": batch, "dropout": p}) for p in rates)]


def _needs_1g(setting: Setting) -> list[Need]:
    exact = [Need(SLUG, {"method": "closed_form", "dropout": p}, seeded=False) for p in (0.0, NEARLY_ZERO, *RATES)]
    return [*exact, *_trained(setting, RATES)]


def _answer_1g(runs: Runs) -> Answer:
    exact = runs.where(SLUG, method="closed_form")
    trained = runs.where(SLUG, method="gradient")
    at_zero, near_zero = exact.where(SLUG, dropout=0.0).first, exact.where(SLUG, dropout=NEARLY_ZERO).first
    comparisons = [*_limits(at_zero, near_zero), *_dots(trained)]
    return Answer(comparisons, _sweep_table(exact, trained), [_sweep_figure(trained)])


def _limits(at_zero: dict[str, list[float]] | None, near_zero: dict[str, list[float]] | None) -> list[Comparison]:
    reason = (
        "for p > 0 the penalty picks the point of least contributions on the line 10·w1 + w2 = 11; at p = 0 nothing is "
        "penalised and the pseudo-inverse takes the point of least weights: two norms, two limits"
    )
    comparisons = [
        compare_claim(
            f"(w1, w2) at {name}",
            sheet="“not full rank, need pseudo-inverse (not sure)”",
            correct=f"({correct[0]:.4f}, {correct[1]:.4f})",
            correct_source=source,
            ours=None if found is None else f"({found['weights'][0]:.4f}, {found['weights'][1]:.4f})",
            ours_is_right=None if found is None else _close(found["weights"], correct, 1e-5),
            sheet_is_right=False,
            because=f"the sheet gives no limit: {reason}",
        )
        for name, found, correct, source in (
            ("p → 0 (p = 1e-6)", near_zero, (0.55, 5.5), "1.1(1−p)/(2−p) and 11(1−p)/(2−p) as p → 0"),
            ("p = 0", at_zero, (110 / 101, 11 / 101), "least norm: (110, 11)/101"),
        )
    ]
    jump = compare_number(
        "clean loss at p = 1e-6",
        correct=0.0,
        correct_source="121p²/(2−p)² → 0",
        ours=None if near_zero is None else float(near_zero["clean_loss"]),  # type: ignore[arg-type]
        tolerance=1e-9,
        because="the weights jump at 0, the loss does not",
    )
    return [*comparisons, jump]


def _dots(trained: Runs) -> list[Comparison]:
    comparisons: list[Comparison] = []
    for p in RATES:
        found = trained.where(SLUG, dropout=p)
        mean = mean_after(p, STEPS)
        for place in (0, 1):
            ours = found.interval(weight(place))
            short = solution(p)[place] - mean[place]
            because = (
                f"{abs(short):.4f} off the curve: the least eigenvalue is about 4p, too small for 10,000 steps"
                if abs(short) > 1e-3
                else "10,000 steps reach the curve"
            )
            comparisons.append(
                compare_claim(
                    f"w{place + 1} at p = {p} after 10,000 steps",
                    sheet=None,
                    correct=f"{mean[place]:.4f}",
                    correct_source="exact mean over all masks",
                    ours=ours,
                    ours_is_right=ours is not None and is_the_mean(found, place, mean[place]),
                    because=because,
                    differs_because="further away than 3.3 standard errors; the scatter is known exactly",
                )
            )
    return comparisons


def _sweep_table(exact: Runs, trained: Runs) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for p, found in exact.by("dropout").items():
        result = found.first
        dots = trained.where(SLUG, dropout=p)
        if result is None:
            continue
        rows.append(
            (
                f"{p:g}",
                *result["weights"],
                result["clean_loss"],
                result["train_loss"],
                dots.interval(weight(0)),
                dots.interval(weight(1)),
                dots.interval("clean_loss"),
            )
        )
    return Table(
        caption="The sweep: weighted least squares, and SGD after 10,000 steps",
        columns=("p", "w1", "w2", "clean loss", "training loss", "w1, SGD", "w2, SGD", "clean loss, SGD"),
        rows=tuple(rows),
    )


def _sweep_figure(trained: Runs) -> FigureSpec:
    solutions = [solution(p) for p in GRID]
    loss = Plot(
        title="Loss",
        x_label="dropout rate p",
        y_label="squared error",
        series=(
            Series(label="training, exact", kind="line", x=GRID, y=tuple(map(train_loss, GRID)), color=1),
            Series(label="clean, exact", kind="line", x=GRID, y=tuple(map(clean_loss, GRID)), color=0),
            _dots_of("clean, SGD", trained, lambda result: result["clean_loss"], 0),
        ),
    )
    weights = Plot(
        title="Weights",
        x_label="dropout rate p",
        y_label="weight",
        series=(
            *(
                Series(
                    label=f"w{place + 1}, exact", kind="line", x=GRID, y=tuple(w[place] for w in solutions), color=place
                )
                for place in (0, 1)
            ),
            *(_dots_of(f"w{place + 1}, SGD", trained, weight(place), place) for place in (0, 1)),
        ),
    )
    alt = "Losses and weights over the dropout rate: exact as lines for p > 0, SGD as dots, p = 0 included."
    return FigureSpec(name="1g-sweep", title="The dropout rate from 0 to 1", alt=alt, panels=(loss, weights))


def _dots_of(label: str, runs: Runs, read: object, color: int) -> Series:
    assert callable(read)
    found: list[tuple[float, Interval]] = [
        (p, ours) for p, some in runs.by("dropout").items() if (ours := some.interval(read)) is not None
    ]
    return Series(
        label=label,
        kind="dots",
        x=tuple(p for p, _ in found),
        y=tuple(ours.mean for _, ours in found),
        low=tuple(ours.low for _, ours in found),
        high=tuple(ours.high for _, ours in found),
        color=color,
    )


def _needs_1h(setting: Setting) -> list[Need]:
    return [*_trained(setting, (0.5,)), *_trained(setting, (0.5,), "adam")]


def _answer_1h(runs: Runs) -> Answer:
    adam, sgd = (runs.where(SLUG, optimizer=name) for name in ("adam", "sgd"))
    adam_0 = adam.where(SLUG, dropout=0.0).first
    together = adam_0 is not None and all(abs(w[0] - w[1]) < 1e-6 for w in adam_0["curve"]["weights"])
    comparisons = [
        _limit(
            "Adam, p = 0", adam.where(SLUG, dropout=0.0), (1.0, 1.0), 1e-3, _why_adam(together=together), "left open"
        ),
        _limit("SGD, p = 0", sgd.where(SLUG, dropout=0.0), solution(0), 1e-8, "the point of least norm", None),
        *(
            _limit(
                f"{name}, p = 0.5",
                found.where(SLUG, dropout=0.5),
                solution(0.5),
                REACHED,
                "a single minimiser: every optimizer ends there",
                "(0.367, 3.667)",
            )
            for name, found in (("Adam", adam), ("SGD", sgd))
        ),
    ]
    rows = [
        (
            name,
            p,
            some.interval(weight(0)),
            some.interval(weight(1)),
            some.interval("clean_loss"),
        )
        for name, found in (("SGD", sgd), ("Adam", adam))
        for p, some in found.by("dropout").items()
    ]
    table = Table(
        caption="Weights after 10,000 steps",
        columns=("optimizer", "p", "w1", "w2", "clean loss"),
        rows=tuple(rows),
    )
    return Answer(comparisons, table, [_adam_figure(sgd, adam)])


def _why_adam(*, together: bool) -> str:
    if together:
        return (
            "the sheet leaves it open: gradients are always proportional to (10, 1), so Adam's steps, each "
            "over its own root mean square, are equal for both weights, and w1 = w2 at every recorded step"
        )
    return "Adam ends at (1, 1), though its two weights did not stay equal on the way"


def _limit(
    name: str, runs: Runs, correct: tuple[float, float], tolerance: float, because: str, sheet: str | None
) -> Comparison:
    both = [runs.interval(weight(place)) for place in (0, 1)]
    w1, w2 = both
    known = w1 is not None and w2 is not None
    right = known and all(
        ours is not None and ours.holds(value, tolerance=tolerance) for ours, value in zip(both, correct, strict=True)
    )
    return compare_claim(
        f"(w1, w2) of {name}",
        sheet=sheet,
        correct=f"({correct[0]:.4f}, {correct[1]:.4f})",
        correct_source="limit of many steps" if tolerance == REACHED else "closed form",
        ours=f"({w1.mean:.4f}, {w2.mean:.4f})" if w1 and w2 else None,
        ours_is_right=right,
        sheet_is_right=False if sheet == "left open" else None,
        because=because,
    )


def _adam_figure(sgd: Runs, adam: Runs) -> FigureSpec:
    ends = Plot(
        title="After 10,000 steps",
        x_label="dropout rate p",
        y_label="weight",
        y_range=(0.0, 4.0),
        series=tuple(
            Series(
                label=f"{name} w{place + 1}",
                kind="line" if name == "SGD" else "dashed",
                x=tuple(found.by("dropout")),
                y=tuple(
                    sum(values) / len(values)
                    for some in found.by("dropout").values()
                    if (values := some.values(weight(place)))
                ),
                color=place,
            )
            for name, found in (("SGD", sgd), ("Adam", adam))
            for place in (0, 1)
        ),
    )
    paths = Plot(
        title="On the way, p = 0",
        x_label="w1",
        y_label="w2",
        series=tuple(
            Series(
                label=name,
                kind="line" if name == "SGD" else "dashed",
                x=tuple(w[0] for w in result["curve"]["weights"]),
                y=tuple(w[1] for w in result["curve"]["weights"]),
            )
            for name, found in (("SGD", sgd), ("Adam", adam))
            if (result := found.where(SLUG, dropout=0.0).first)
        ),
    )
    alt = "Weights of SGD and Adam after 10,000 steps at p = 0 and 0.5, and their paths from zero at p = 0."
    return FigureSpec(name="1h-optimizers", title="Which minimiser an optimizer picks", alt=alt, panels=(ends, paths))


def _close(found: Sequence[float], correct: Sequence[float], tolerance: float) -> bool:
    return all(abs(ours - value) <= tolerance for ours, value in zip(found, correct, strict=True))


SWEEP_QUESTIONS = (
    Question(
        "1g",
        "Sweep of the dropout rate",
        "Vary the dropout rate from 0 to nearly 1: losses and weights, by weighted least squares and by training. What "
        "happens at 0?",
        _needs_1g,
        _answer_1g,
    ),
    Question(
        "1h",
        "Adam",
        "Train with Adam in place of SGD, without dropout and with rate 0.5. Where do the weights end, and why?",
        _needs_1h,
        _answer_1h,
    ),
)
