"""Questions 1a to 1c: least squares with and without dropout, solved, and iterated without noise."""

from collections.abc import Sequence

from experiments.studies.findings import compare_claim, compare_number
from experiments.studies.question import Answer, Need, Question, Runs, Setting
from homework.questions.linear_shared import (
    EXACT,
    EXACT_HALF,
    ITERATED,
    SLUG,
    loss_figure,
    weights_table,
)
from homework.questions.linear_theory import LEARNING_RATE, solution, train_loss

PRINTED = 5e-5
"""Half a unit of the fourth printed digit."""


def _answer_1a(runs: Runs) -> Answer:
    result = runs.where(SLUG, method="closed_form", dropout=0.0).first
    w = result["weights"] if result else [None, None]
    least = result["hessian_eigenvalues"][-1] if result else None
    comparisons = [
        compare_number(
            f"w{place + 1}",
            sheet=sheet,
            correct=solution(0)[place],
            correct_source="X⁺y = X'(XX')⁻¹y = (110, 11)/101",
            ours=w[place],
            tolerance=5e-9,
            because="the pseudo-inverse gives the sheet's digits",
            digits=9,
        )
        for place, sheet in enumerate((1.08910891, 0.10891089))
    ]
    formula = compare_claim(
        "formula; least eigenvalue of 2X'X",
        sheet="w = (X'X)⁻¹X'y",
        correct="w = X⁺y, since X'X has rank 1",
        correct_source="one data point, two weights",
        ours=least,
        ours_is_right=least == 0,
        sheet_is_right=least is not None and least > 0,
        because="X'X has the eigenvalue 0, so the inverse does not exist; the numbers are the pseudo-inverse's",
    )
    return Answer([*comparisons, formula], weights_table([("pseudo-inverse", runs)]))


def _descended(_: Setting) -> Sequence[Need]:
    return [Need(SLUG, {}, seeded=False), Need(SLUG, {"bias": True}, seeded=False)]


def _answer_1b(runs: Runs) -> Answer:
    plain = runs.where(SLUG, dropout=0.0, **ITERATED)
    with_bias = runs.where(SLUG, dropout=0.0, bias=True)
    sheet = (1.0784, 0.1078)
    comparisons = [
        compare_number(
            f"w{place + 1} after 1000 steps",
            sheet=sheet[place],
            correct=solution(0)[place],
            correct_source="gradient descent from zero stays on the line through x: (110, 11)/101",
            ours=plain.first["weights"][place] if plain.first else None,
            tolerance=1e-8,
            because=_why_1b(with_bias, sheet),
        )
        for place in (0, 1)
    ]
    comparisons += [
        compare_number(
            f"{name} of a model with a bias",
            correct=correct,
            correct_source="(10, 1, 1) · 11/102",
            ours=value,
            tolerance=1e-8,
            because="with a bias the input is (10, 1, 1), whose squared length is 102",
        )
        for name, correct, value in (
            ("w1", 110 / 102, with_bias.first["weights"][0] if with_bias.first else None),
            ("w2", 11 / 102, with_bias.first["weights"][1] if with_bias.first else None),
            ("bias", 11 / 102, with_bias.first["bias"] if with_bias.first else None),
        )
    ]
    ratio = plain.first["curve"]["loss"][1] / plain.first["curve"]["loss"][0] if plain.first else None
    comparisons.append(
        compare_number(
            "factor of the loss in one step",
            correct=(1 - 2 * LEARNING_RATE * 101) ** 2,
            correct_source="(1 − 2 · 0.001 · 101)²",
            ours=ratio,
            tolerance=1e-9,
            because="the residual shrinks by 0.798 a step, so 200 steps reach the last digit of a double",
        )
    )
    table = weights_table([("without bias", plain), ("with bias", with_bias)])
    return Answer(comparisons, table, loss_figure("1b", "Loss of gradient descent without dropout", plain, log=True))


def _why_1b(with_bias: Runs, sheet: tuple[float, float]) -> str:
    result = with_bias.first
    if result and all(abs(ours - theirs) <= PRINTED for ours, theirs in zip(result["weights"], sheet, strict=True)):
        ours = ", ".join(f"{weight:.4f}" for weight in result["weights"])
        return f"the bias was left in: our run with a bias ends at ({ours}), the sheet's digits"
    return "gradient descent without a bias gives the pseudo-inverse's weights, and the sheet's are others"


def _answer_1c(runs: Runs) -> Answer:
    found = runs.where(SLUG, method="closed_form", dropout=0.5)
    comparisons = [
        compare_number(
            f"w{place + 1}",
            sheet=sheet,
            correct=solution(0.5)[place],
            correct_source="1.1(1−p)/(2−p) and 11(1−p)/(2−p): 11/30 and 11/3",
            ours=found.first["weights"][place] if found.first else None,
            tolerance=5e-9,
            because="least squares over the four equally likely masks",
            digits=9,
        )
        for place, sheet in enumerate((0.36666667, 3.66666667))
    ]
    floor = compare_number(
        "least mean squared error with dropout",
        correct=train_loss(0.5),
        correct_source="121p/(2−p) = 121/3",
        ours=found.first["train_loss"] if found.first else None,
        tolerance=1e-9,
        because="the residual is −11 when both inputs are dropped and ±11/3 otherwise; no weights do better",
    )
    return Answer([*comparisons, floor], weights_table([("dropout 0.5", found)]))


EXACT_QUESTIONS = (
    Question(
        "1a",
        "No dropout, least squares",
        "Fit y = 10·w1 + 1·w2 to the single point y = 11 without dropout, by a formula.",
        lambda _: [EXACT],
        _answer_1a,
    ),
    Question(
        "1b",
        "No dropout, gradient descent",
        "Fit the same point by 1000 steps of gradient descent from zero and compare with the formula.",
        _descended,
        _answer_1b,
    ),
    Question(
        "1c",
        "Dropout 0.5, least squares",
        "With each input dropped with probability 0.5, solve least squares over the four possible inputs.",
        lambda _: [EXACT_HALF],
        _answer_1c,
    ),
)
