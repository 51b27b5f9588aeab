"""Questions 2a to 2d: dropout on the inputs of least squares is a ridge on columns of equal norm."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.studies.findings import FigureSpec, Plot, Series, Table, compare_claim
from experiments.studies.intervals import Interval
from experiments.studies.question import Answer, Need, Question, Runs, Setting

SLUG = "dropout-ridge"
MONTE_CARLO_LIMIT = 5.0
"""Standard errors: an entry strays this far by chance once in two million."""
ROUNDING = 1e-9


def _need(setting: Setting) -> list[Need]:
    return [Need(SLUG, {"masks": setting.pick(smoke=4_000, cpu=40_000, full=400_000)})]


def _worst(runs: Runs, name: str) -> float | None:
    return max(runs.values(name), default=None)


def _answer_2a(runs: Runs) -> Answer:
    ours, sheet = _worst(runs, "largest_deviation"), _worst(runs, "sheet_largest_deviation")
    comparison = compare_claim(
        "E[a'a] against the mean over masks: largest deviation, standard errors",
        sheet="0 off the diagonal",
        correct="p²X'X + p(1−p)diag(X'X): off the diagonal p²",
        correct_source="two inputs survive together with probability p²",
        ours=ours,
        ours_is_right=ours is not None and ours < MONTE_CARLO_LIMIT,
        sheet_is_right=sheet is not None and sheet < MONTE_CARLO_LIMIT,
        because=f"with zeros off the diagonal the masks miss the formula by {sheet or 0:.0f} standard errors",
        differs_because=f"the masks stray more than {MONTE_CARLO_LIMIT:g} standard errors from the formula",
    )
    table = Table(
        caption="Monte Carlo against both formulas, every seed a new problem",
        columns=("seed", "relative error", "largest deviation", "the sheet's relative error", "its largest deviation"),
        rows=tuple(
            (outcome.seed, *(outcome.result[name] for name in _DEVIATIONS)) for outcome in runs if outcome.result
        ),
    )
    return Answer([comparison], table, _convergence(runs.first))


_DEVIATIONS = ("relative_error", "largest_deviation", "sheet_relative_error", "sheet_largest_deviation")


def _convergence(result: Mapping[str, Any] | None) -> list[FigureSpec]:
    if result is None:
        return []
    found = result["convergence"]
    masks = tuple(map(float, found["masks"]))
    plot = Plot(
        title="Relative error of the mean of a'a",
        x_label="masks drawn",
        y_label="error",
        x_log=True,
        y_log=True,
        series=(
            Series(label="closed form", kind="dots", x=masks, y=tuple(found["error"])),
            Series(label="expected by chance", kind="dashed", x=masks, y=tuple(found["standard_error"]), color=0),
        ),
        level=result["sheet_relative_error"],
        level_label="the sheet's matrix, however many masks",
    )
    alt = "Relative error of the mean against the number of masks, with what chance gives and the sheet's error."
    return [FigureSpec(name="2a-convergence", title="E[a'a] by Monte Carlo", alt=alt, panels=(plot,), columns=1)]


def _answer_2b(runs: Runs) -> Answer:
    ours = _worst(runs, "largest_weight_difference")
    path = _worst(runs, "path_largest_difference")
    comparisons = [
        compare_claim(
            f"p·w under dropout minus the Tikhonov solution, {where}, over the largest weight",
            sheet="Γ = √((1−p)/p)·G, w = p·w_drop" if path is not None and where == "at p" else None,
            correct="0: the same, Γ = √((1−p)/p)·G",
            correct_source="minimiser over all 2^d masks of every row",
            ours=found,
            ours_is_right=found is not None and found < ROUNDING,
            sheet_is_right=True,
            because="equal to the last digits of a double",
        )
        for where, found in (("at p", ours), ("on the whole path of p", path))
    ]
    first = runs.first
    table = first and Table(
        caption="Weights of the first seed",
        columns=("column", "p·w under dropout", "Tikhonov", "with the sheet's E[a'a]"),
        rows=tuple(
            (number + 1, *values)
            for number, values in enumerate(
                zip(first["dropout_weights"], first["ridge_weights"], first["sheet_weights"], strict=True)
            )
        ),
    )
    return Answer(comparisons, table or None, _path(first))


def _path(result: Mapping[str, Any] | None) -> list[FigureSpec]:
    if result is None:
        return []
    path = result["path"]
    keep = tuple(path["keep"])
    series: list[Series] = []
    for place in range(len(path["ridge"][0])):
        ridge = tuple(weights[place] for weights in path["ridge"])
        dots = tuple(weights[place] for weights in path["dropout"])
        series.append(Series(label=f"Tikhonov, w{place + 1}", kind="line", x=keep, y=ridge, color=place))
        series.append(Series(label=f"p·w under dropout, w{place + 1}", kind="dots", x=keep, y=dots, color=place))
    plot = Plot(title="Solutions", x_label="keep probability p", y_label="weight", series=tuple(series))
    alt = "Weights of the ridge as lines and of dropout as dots over the keep probability."
    return [FigureSpec(name="2b-path", title="Dropout and ridge on one path", alt=alt, panels=(plot,), columns=1)]


def _answer_2c(runs: Runs) -> Answer:
    ours = _worst(runs, "largest_change_difference")
    first = runs.first
    reason = first["sheet_left_product_error"] if first else None
    comparison = compare_claim(
        "solution through the changed variables minus the direct one, over the largest weight",
        sheet="X̃ = √λ·Γ⁻¹X",
        correct="0 with X̃ = √λ·XΓ⁻¹",
        correct_source="w̃ = Γw/√λ, so that Xw = X̃w̃",
        ours=ours,
        ours_is_right=ours is not None and ours < ROUNDING,
        sheet_is_right=reason is None,
        because=f"Γ belongs on the right, where it scales columns; on the left: {reason}",
    )
    return Answer([comparison])


def _answer_2d(runs: Runs) -> Answer:
    spread = [
        abs(norm / result["predicted_column_norm"] - 1)
        for result in runs.results
        for norm in result["changed_column_norms"]
    ]
    sheet = [
        abs(norm / result["predicted_column_norm"] - 1)
        for result in runs.results
        for norm in result["sheet_column_norms"]
    ]
    units = _worst(runs, "dropout_prediction_change")
    plain = runs.interval("plain_ridge_prediction_change")
    comparisons = [
        compare_claim(
            "column norms of X̃: largest deviation from √(λp/(1−p))",
            sheet="unequal: Γ without its root, √(1/(p−1))",
            correct="0: every column has the norm √(λp/(1−p))",
            correct_source="Γ_jj = √((1−p)/p)·|X_j|",
            ours=max(spread, default=None),
            ours_is_right=bool(spread) and max(spread) < ROUNDING,
            sheet_is_right=bool(sheet) and max(sheet) < ROUNDING,
            because=f"the sheet's norms are off by up to {100 * max(sheet, default=0):.0f} %, its factor is imaginary",
        ),
        compare_claim(
            "change of predictions when a column's unit changes by 1000, relative",
            sheet=None,
            correct="0; with a plain ridge not",
            correct_source="equal norms: a column's unit does not matter",
            ours=units,
            ours_is_right=units is not None and units < ROUNDING,
            because=f"as after batch normalisation; an ordinary ridge changes by {_shown(plain)}",
        ),
    ]
    return Answer(comparisons, _norm_table(runs.first), _norm_bars(runs.first))


def _shown(change: Interval | None) -> str:
    return "an unknown amount" if change is None else f"{100 * change.mean:.2g} % of the largest prediction"


_NORMS = (
    ("X", "column_norms"),
    ("X̃ = √λ·XΓ⁻¹", "changed_column_norms"),
    ("X̃ by the sheet's Γ", "sheet_column_norms"),
)


def _norm_table(result: Mapping[str, Any] | None) -> Table | None:
    if result is None:
        return None
    columns = range(len(result["column_norms"]))
    return Table(
        caption=f"Norms of the columns, first seed; predicted for X̃: {result['predicted_column_norm']:.6f}",
        columns=("matrix", *(f"column {place + 1}" for place in columns)),
        rows=tuple((name, *(result[key][place] for place in columns)) for name, key in _NORMS),
    )


def _norm_bars(result: Mapping[str, Any] | None) -> Sequence[FigureSpec]:
    if result is None:
        return []
    columns = len(result["column_norms"])
    plots = tuple(
        Plot(
            title=name,
            x_label="column",
            y_label="norm",
            x_names=tuple(str(place + 1) for place in range(columns)),
            series=(
                Series(label=name, kind="bars", x=tuple(map(float, range(columns))), y=tuple(result[key]), color=color),
            ),
        )
        for color, (name, key) in enumerate(_NORMS[:2])
    )
    alt = "Norms of the columns of X, and after the change of variables."
    return [FigureSpec(name="2d-norms", title="Dropout's ridge sees columns of equal norm", alt=alt, panels=plots)]


RIDGE_QUESTIONS = (
    Question(
        "2a",
        "The expected Gram matrix of masked inputs",
        "Inputs are kept with probability p, not rescaled. Find the expectation of a'a, and with it that of the loss.",
        _need,
        _answer_2a,
    ),
    Question(
        "2b",
        "Dropout as Tikhonov regularisation",
        "Show that dropout's minimiser, times p, solves a ridge problem, and name its matrix Γ.",
        _need,
        _answer_2b,
    ),
    Question(
        "2c",
        "A change of variables to a standard ridge",
        "Rewrite the problem as a ridge with a plain penalty λ|w̃|². Which matrix X̃ takes the place of X?",
        _need,
        _answer_2c,
    ),
    Question(
        "2d",
        "Column norms and batch normalisation",
        "What do the columns of X̃ look like, and what has that to do with batch normalisation?",
        _need,
        _answer_2d,
    ),
)
