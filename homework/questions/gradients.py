"""Questions 3a to 3d: the gradient of a convolution's weights and its size, and gradients through pooling."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from experiments.studies.findings import Cell, FigureSpec, Heat, Plot, Series, Table, compare_claim, compare_number
from experiments.studies.intervals import SHOWN, Interval, t_quantile
from experiments.studies.question import Answer, Need, Question, Runs, Setting

CONVOLUTION = "conv-gradients"
POOLING = "pooling-gradients"
ROUNDING = 1e-9
FINITE_DIFFERENCE = 1e-6
GROUPS = 20
"""Groups of draws for each run's 99 % interval of the exponent."""


def _convolution(setting: Setting) -> list[Need]:
    return [Need(CONVOLUTION, {"repeats": setting.pick(smoke=400, cpu=2000, full=10_000)})]


def _answer_3a(runs: Runs) -> Answer:
    first = runs.first
    read = (first or {}).get
    correlation, finite = _worst(runs, "correlation_difference"), _worst(runs, "finite_difference_error")
    flipped = min(runs.values("flipped_difference"), default=None)
    bias_errors = [abs(result["bias_gradient"] - result["upstream_sum"]) for result in runs.results]
    comparisons = [
        compare_claim(
            "dw by autograd minus the cross-correlation of X with dY, over the largest entry",
            sheet="flipped indices, no sum over positions",
            correct="0: dw_hl = Σ dy_ij x_(i+h−1, j+l−1)",
            correct_source="chain rule",
            ours=correlation,
            ours_is_right=correlation is not None and correlation < ROUNDING,
            sheet_is_right=flipped is not None and flipped < ROUNDING,
            because=f"the sheet has no sum; even with one its flipped indices miss dw by {100 * (flipped or 0):.0f} %",
        ),
        compare_claim(
            "dw minus central finite differences, over the largest entry",
            sheet=None,
            correct="0, to the accuracy of finite differences",
            correct_source="an independent second way",
            ours=finite,
            ours_is_right=finite is not None and finite < FINITE_DIFFERENCE,
            because="three ways give one gradient",
        ),
        compare_claim(
            "gradient of the bias; Σ dY of the first seed",
            sheet="0",
            correct="Σ dy_ij" if first is None else f"Σ dy_ij = {first['upstream_sum']:.6f}",
            correct_source="∂y_ij/∂b = 1",
            ours=read("bias_gradient"),
            ours_is_right=bool(bias_errors) and max(bias_errors) < ROUNDING * 100,
            sheet_is_right=all(abs(value) < ROUNDING for value in runs.values("bias_gradient")),
            because="the derivative of y with respect to the bias is 1, not 0",
        ),
        compare_claim(
            "weight change of SGD minus the weighted sum of patches, over the largest entry",
            sheet=None,
            correct="0: a linear combination, with weights of both signs",
            correct_source="dw is a sum of patches times dy",
            ours=_worst(runs, "patch_difference"),
            ours_is_right=bool(runs) and max(runs.values("patch_difference")) < ROUNDING,
            because=_no_average(first),
        ),
    ]
    return Answer(comparisons, _table_3a(runs), _gradient_figure(first))


def _no_average(result: Mapping[str, Any] | None) -> str:
    if result is None:
        return ""
    negative, total = 100 * result["negative_share"], result["coefficient_sum"]
    return f"not an average: {negative:.0f} % of the coefficients are negative, and they add up to {total:.2g}"


def _worst(runs: Runs, name: str) -> float | None:
    return max(runs.values(name), default=None)


def _table_3a(runs: Runs) -> Table:
    names = ("correlation_difference", "finite_difference_error", "flipped_difference", "bias_gradient", "upstream_sum")
    return Table(
        caption="The three gradients compared, every seed a new image",
        columns=("seed", "cross-correlation", "finite differences", "flipped indices", "db", "Σ dY"),
        rows=tuple((outcome.seed, *(outcome.result[name] for name in names)) for outcome in runs if outcome.result),
    )


def _gradient_figure(result: Mapping[str, Any] | None) -> list[FigureSpec]:
    if result is None:
        return []
    named = (
        ("X", "image"),
        ("dY", "upstream"),
        ("dw, autograd", "weight_gradient"),
        ("dw, cross-correlation", "correlation_gradient"),
    )
    panels = tuple(Heat(title=title, values=tuple(map(tuple, result[key])), diverging=True) for title, key in named)
    alt = "An image, its upstream gradient, and the gradient of the kernel found two ways; red above 0, blue below."
    return [FigureSpec(name="3a-gradient", title="dw is X cross-correlated with dY", alt=alt, panels=panels, columns=4)]


def _answer_3b(runs: Runs) -> Answer:
    exponent = _exponent(runs)
    worst_mean = max((row["mean_deviation"] for result in runs.results for row in result["growth"]), default=None)
    comparisons = [
        compare_number(
            "exponent of sd(dw) against n − k + 1",
            sheet=0.5,
            correct=1.0,
            correct_source="Var dw = (n−k+1)²σx²σg²: sd = Θ(n)",
            ours=exponent,
            tolerance=0.0,
            because="the sheet's variance (n−k+1)σx²σg² lacks one power of m: m² uncorrelated products add up",
            differs_because="the fitted exponent does not hold 1 within its interval at 99.9 %",
        ),
        compare_claim(
            "E[dw]: largest |mean| in standard errors",
            sheet=None,
            correct="0",
            correct_source="independent factors with mean 0",
            ours=worst_mean,
            ours_is_right=worst_mean is not None and worst_mean < 5.0,
            because="the means of all entries at all sides are 0 within chance",
        ),
    ]
    return Answer(comparisons, _table_3b(runs), _growth_figure(runs))


def _exponent(runs: Runs) -> Interval | None:
    """The mean exponent of all seeds; its scatter comes from the groups of draws within the runs."""
    if not runs:
        return None
    mean = fmean(runs.values("exponent"))
    halves = runs.values(lambda result: (result["exponent_high"] - result["exponent_low"]) / 2)
    sd = fmean(halves) / t_quantile(0.99, GROUPS - 1) * math.sqrt(GROUPS)
    n = GROUPS * len(halves)
    margin = t_quantile(SHOWN, n - 1) * sd / math.sqrt(n)
    return Interval(mean=mean, low=mean - margin, high=mean + margin, n=n, sd=sd)


def _table_3b(runs: Runs) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for place, row in enumerate(runs.first["growth"] if runs.first else []):
        measured = runs.interval(lambda result, place=place: result["growth"][place]["variance"])  # type: ignore[misc]
        rows.append((row["side"], row["output_side"], measured, row["closed_form"], row["sheet"]))
    return Table(
        caption="Variance of an entry of dw",
        columns=("n", "n − k + 1", "measured", "(n−k+1)²σx²σg²", "the sheet's (n−k+1)σx²σg²"),
        rows=tuple(rows),
    )


def _growth_figure(runs: Runs) -> list[FigureSpec]:
    if runs.first is None:
        return []
    growth = runs.first["growth"]
    sides = tuple(float(row["output_side"]) for row in growth)
    measured = [
        runs.interval(lambda result, place=place: math.sqrt(result["growth"][place]["variance"]))  # type: ignore[misc]
        for place in range(len(growth))
    ]
    known = [value for value in measured if value is not None]
    plot = Plot(
        title="Standard deviation of dw",
        x_label="side of the output, n − k + 1",
        y_label="sd",
        x_log=True,
        y_log=True,
        series=(
            Series(
                label="(n−k+1)σxσg",
                kind="line",
                x=sides,
                y=tuple(math.sqrt(row["closed_form"]) for row in growth),
                color=0,
            ),
            Series(
                label="the sheet", kind="dashed", x=sides, y=tuple(math.sqrt(row["sheet"]) for row in growth), color=1
            ),
            Series(
                label="measured",
                kind="dots",
                x=sides,
                y=tuple(value.mean for value in known),
                low=tuple(value.low for value in known),
                high=tuple(value.high for value in known),
                color=2,
            ),
        ),
    )
    alt = (
        "Standard deviation of dw against the output's side on logarithmic axes: both formulas as lines, ours as dots."
    )
    return [FigureSpec(name="3b-growth", title="How the gradient grows", alt=alt, panels=(plot,), columns=1)]


_INVARIANTS = ("largest_sum_deviation", "largest_norm_deviation")


def _answer_3c(runs: Runs) -> Answer:
    first = runs.first
    backward: Sequence[Mapping[str, Any]] = first["backward"] if first else []
    invariants = max((_worst(runs, name) or 0.0 for name in _INVARIANTS), default=None) if runs else None
    average = [row["formula_difference"] for row in backward if row["kind"] == "average"]
    largest = [row["formula_difference"] for row in backward if row["kind"] == "max"]
    comparisons = [
        compare_claim(
            "average pooling: dX by autograd minus dy/4 for the whole window",
            sheet="not answered",
            correct="0: dx_ij = dy/4",
            correct_source="each of four pixels has weight 1/4",
            ours=max(average, default=None),
            ours_is_right=bool(average) and max(average) < ROUNDING,
            sheet_is_right=False,
            because="the sheet leaves it open: every pixel of a window gets a quarter, 4⁻ᴸ after L layers",
        ),
        compare_claim(
            "max pooling: dX less dy at each window's maximum",
            sheet="right for one window; its general index sets overlap",
            correct="0: one pixel of each window",
            correct_source="windows do not overlap at stride 2",
            ours=max(largest, default=None),
            ours_is_right=bool(largest) and max(largest) < ROUNDING,
            because="one non-zero pixel in each block of 2ᴸ × 2ᴸ",
        ),
        compare_claim(
            "Σ dX / Σ dY and |dX|²/|dY|²: largest deviation from 1 and from 1 or 4⁻ᴸ",
            sheet=None,
            correct="0",
            correct_source="invariants of both poolings",
            ours=invariants,
            ours_is_right=invariants is not None and invariants < ROUNDING,
            because="no gradient is lost; average pooling shrinks its square by 4 a layer",
        ),
    ]
    table = Table(
        caption="The gradient after L layers, first seed",
        columns=("pooling", "L", "non-zero pixels", "in each block", "Σ dX / Σ dY", "|dX|²/|dY|²"),
        rows=tuple(
            (
                row["kind"],
                row["levels"],
                row["nonzeros"],
                f"{row['fewest_nonzeros_in_block']} to {row['most_nonzeros_in_block']}",
                row["sum_ratio"],
                row["norm_ratio"],
            )
            for row in backward
        ),
    )
    return Answer(comparisons, table, _pooling_figure(backward))


def _pooling_figure(backward: Sequence[Mapping[str, Any]]) -> list[FigureSpec]:
    panels = tuple(
        Heat(title=f"{row['kind']}, L = {row['levels']}", values=tuple(map(tuple, row["gradient"])), diverging=True)
        for row in backward
        if "gradient" in row
    )
    if not panels:
        return []
    alt = "Maps of the gradient after one and two layers of max and of average pooling; red above 0, blue below."
    return [FigureSpec(name="3c-pooling", title="Where the gradient goes", alt=alt, panels=panels, columns=4)]


def _answer_3d(runs: Runs) -> Answer:
    responses: Sequence[Mapping[str, Any]] = runs.first["responses"] if runs.first else []
    deepest = {row["kind"]: row for row in responses}
    most, mean = deepest.get("max"), deepest.get("average")
    levels = most["levels"] if most else 0
    comparisons = [
        compare_number(
            f"share kept of one bright pixel, {name} pooling, L = {levels}",
            correct=correct,
            correct_source=source,
            ours=row["spike_kept"] if row else None,
            tolerance=ROUNDING,
            because=because,
        )
        for name, row, correct, source, because in (
            ("max", most, 1.0, "the maximum", "max keeps the strongest response, noise spikes included"),
            ("average", mean, 4.0**-levels, "4⁻ᴸ", "average dilutes it"),
        )
    ]
    if most and mean:
        comparisons.append(
            compare_claim(
                "share kept of a band one pixel wide, max and average",
                sheet="max keeps edges; average smooths",
                correct="1 with max, 2⁻ᴸ with average",
                correct_source="the brightest pooled row over the band",
                ours=f"{most['band_kept']:.3g} and {mean['band_kept']:.3g}",
                ours_is_right=abs(most["band_kept"] - 1) < ROUNDING
                and abs(mean["band_kept"] - 2.0**-levels) < ROUNDING,
                sheet_is_right=most["band_kept"] > mean["band_kept"],
                because="the sheet has it right in words",
            )
        )
        comparisons.append(
            compare_claim(
                "noise left, max and average",
                sheet="average smooths noise",
                correct="less with average",
                correct_source="σ/2ᴸ for a mean of 4ᴸ pixels",
                ours=f"{most['noise_sd']:.3g} and {mean['noise_sd']:.3g}",
                ours_is_right=mean["noise_sd"] < most["noise_sd"],
                sheet_is_right=mean["noise_sd"] < most["noise_sd"],
                because="the mean of independent pixels scatters less than their maximum",
            )
        )
    table = Table(
        caption="What pooling keeps, first seed",
        columns=(
            "pooling",
            "L",
            "band kept",
            "at its worst place",
            "spike kept",
            "contrast in noise",
            "noise",
            "ratio",
        ),
        rows=tuple(
            (
                row["kind"],
                row["levels"],
                row["band_kept"],
                row["band_kept_least"],
                row["spike_kept"],
                row["contrast"],
                row["noise_sd"],
                row["contrast_to_noise"],
            )
            for row in responses
        ),
    )
    return Answer(comparisons, table)


GRADIENT_QUESTIONS = (
    Question(
        "3a",
        "Gradient of the kernel",
        "Find the gradient of a convolution's weights and bias, and read SGD's weights as a combination of patches.",
        _convolution,
        _answer_3a,
    ),
    Question(
        "3b",
        "Size of that gradient",
        "With independent pixels and upstream gradients of mean 0: mean and variance of dw, and its growth with n?",
        _convolution,
        _answer_3b,
    ),
    Question(
        "3c",
        "Gradients through pooling",
        "Find the gradient through 2 × 2 max and average pooling, for one layer and for L.",
        lambda _: [Need(POOLING, seeded=False)],
        _answer_3c,
    ),
    Question(
        "3d",
        "Max against average pooling",
        "What speaks for max pooling and what for average pooling?",
        lambda _: [Need(POOLING, seeded=False)],
        _answer_3d,
    ),
)
