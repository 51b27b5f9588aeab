"""Questions 1a to 1h: the verdicts follow from the runs, and change when the runs do."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from experiments.studies.findings import Comparison, QuestionReport, Verdict
from experiments.studies.outcome import RunOutcome
from experiments.studies.plan import RunPlan, Scale
from experiments.studies.templates import expand
from homework.course import COURSE
from homework.questions.linear_theory import clean_loss, mean_after, slow_time_constant, solution, train_loss

Finish = Callable[[Sequence[RunPlan]], list[RunOutcome]]


@pytest.fixture(scope="session")
def part_one(finished: Finish) -> list[RunOutcome]:
    plans = [expand(f"course/1{letter}", Scale.SMOKE, range(2 if letter == "d" else 1)).runs for letter in "abcdefgh"]
    runs: dict[str, RunPlan] = {}
    for run in (run for plan in plans for run in plan):
        known = runs.get(run.key)
        questions = run.questions if known is None else (*known.questions, *run.questions)
        runs[run.key] = RunPlan(run.experiment, run.spec, run.seed, questions, run.cell)
    return finished(list(runs.values()))


def report(outcomes: Sequence[RunOutcome], question: str) -> QuestionReport:
    return COURSE.report(question, outcomes)


def one(found: QuestionReport, quantity: str) -> Comparison:
    return next(comparison for comparison in found.comparisons if quantity in comparison.quantity)


def changed(outcomes: Sequence[RunOutcome], select: Callable[[RunOutcome], bool], **result: Any) -> list[RunOutcome]:
    return [
        run.model_copy(update={"result": {**(run.result or {}), **result}}) if select(run) else run for run in outcomes
    ]


@pytest.mark.parametrize("question", [f"1{letter}" for letter in "abcdefgh"])
def test_nothing_differs_and_everything_is_measured(part_one: list[RunOutcome], question: str) -> None:
    verdicts = {comparison.verdict for comparison in report(part_one, question).comparisons}
    assert verdicts <= {Verdict.AGREES, Verdict.SHEET_IS_WRONG}


def test_bias_explains_the_sheets_weights_only_while_a_run_shows_it(part_one: list[RunOutcome]) -> None:
    found = one(report(part_one, "1b"), "w1 after")
    assert found.verdict is Verdict.SHEET_IS_WRONG
    assert "bias was left in" in found.because
    without = [run for run in part_one if not run.spec["bias"]]
    unexplained = one(report(without, "1b"), "w1 after")
    assert unexplained.verdict is Verdict.SHEET_IS_WRONG
    assert "bias was left in" not in unexplained.because


def test_wrong_weights_of_ours_differ(part_one: list[RunOutcome]) -> None:
    wrong = changed(part_one, lambda run: run.spec["method"] == "closed_form", weights=[1.0784, 0.1078])
    found = one(report(wrong, "1a"), "w1")
    assert found.verdict is Verdict.DIFFERS
    assert "tolerance" in found.because


def test_sheets_formula_is_wrong_because_of_the_eigenvalue_that_was_found(part_one: list[RunOutcome]) -> None:
    assert one(report(part_one, "1a"), "formula").verdict is Verdict.SHEET_IS_WRONG
    regular = changed(part_one, lambda run: run.spec["dropout"] == 0, hessian_eigenvalues=[202.0, 1.0])
    assert one(report(regular, "1a"), "formula").verdict is Verdict.DIFFERS


def test_gap_of_1e_is_called_slow_or_noise_by_its_size(part_one: list[RunOutcome]) -> None:
    assert "slow eigenvalue" in one(report(part_one, "1e"), "w2 after 1000").because
    noisy = changed(part_one, lambda run: run.spec["batch_size"] == 1024, expected_weights_sd=[0.5, 0.5])
    assert "within reach of its noise" in one(report(noisy, "1e"), "w2 after 1000").because


def test_biased_runs_of_1d_differ_from_the_exact_mean(part_one: list[RunOutcome]) -> None:
    assert one(report(part_one, "1d"), "w1").verdict is Verdict.AGREES
    shifted = changed(part_one, lambda run: "course/1d" in run.questions, weights=[1.2, 3.5])
    assert one(report(shifted, "1d"), "w1").verdict is Verdict.DIFFERS


def test_adam_at_zero_is_explained_by_the_path_it_took(part_one: list[RunOutcome]) -> None:
    found = one(report(part_one, "1h"), "Adam, p = 0")
    assert (found.verdict, found.ours) == (Verdict.SHEET_IS_WRONG, "(1.0000, 1.0000)")
    assert "proportional to (10, 1)" in found.because


def test_missing_runs_are_not_measured_and_named(part_one: list[RunOutcome]) -> None:
    waiting = [run.model_copy(update={"result": None, "state": "queued"}) for run in part_one]
    found = report(waiting, "1b")
    assert {comparison.verdict for comparison in found.comparisons} == {Verdict.NOT_MEASURED}
    assert len(found.missing) == found.runs == 2
    assert all("queued" in line for line in found.missing)


def test_every_question_can_report_without_any_run() -> None:
    for question in COURSE.questions.values():
        verdicts = {comparison.verdict for comparison in question.report([]).comparisons}
        assert verdicts <= {Verdict.NOT_MEASURED, Verdict.SHEET_IS_WRONG}, question.slug


def test_theory_solves_the_normal_equations() -> None:
    for p in (0.01, 0.1, 0.5, 0.9):
        q = 1 - p
        w1, w2 = solution(p)
        assert 100 / q * w1 + 10 * w2 == pytest.approx(110)
        assert 10 * w1 + w2 / q == pytest.approx(11)
        residual = 10 * w1 + w2 - 11
        assert clean_loss(p) == pytest.approx(residual**2)
        assert train_loss(p) == pytest.approx(residual**2 + p / q * (100 * w1**2 + w2**2))


def test_theory_has_the_sheets_numbers() -> None:
    assert mean_after(0.5, 1000) == pytest.approx((0.3758, 3.4849), abs=5e-5)
    assert mean_after(0.1, 10_000) == pytest.approx((0.5281, 5.1329), abs=1e-4)
    assert slow_time_constant(0.5) == pytest.approx(334, abs=0.5)
    assert slow_time_constant(0.1) == pytest.approx(2388, abs=1)
