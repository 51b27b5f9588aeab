"""Each comparison is judged from that scale on whose runs can show it, and can fail there."""

from typing import Any

import pytest

from experiments.studies.findings import (
    Comparison,
    Least,
    Verdict,
    at_scale,
    compare_claim,
    compare_number,
)
from experiments.studies.plan import Scale
from homework.course import COURSE
from homework.shared import PATTERN_OF_TRAININGS
from server.commands.reproduce import _print_findings, _print_too_small

TRAINED = ("4a", "4b", "4c", "4d", "4e", "4f")


def claim(right: bool | None, least: Least | None = PATTERN_OF_TRAININGS, **more: Any) -> Comparison:
    return compare_claim(
        "accuracy", sheet=None, correct="above 0", correct_source="a pattern", ours=0.5, ours_is_right=right,
        because="it is", least=least, **more,
    )  # fmt: skip


@pytest.mark.parametrize("right", [True, False, None])
def test_below_its_least_scale_nothing_is_said_for_or_against(right: bool | None) -> None:
    found = at_scale(claim(right), Scale.SMOKE)
    assert found.verdict is Verdict.TOO_SMALL
    assert "scale cpu is large enough" in found.because


@pytest.mark.parametrize("scale", [Scale.CPU, Scale.FULL, None])
def test_from_its_least_scale_on_it_can_fail(scale: Scale | None) -> None:
    verdicts = [at_scale(claim(right), scale).verdict for right in (True, False, None)]
    assert verdicts == [Verdict.AGREES, Verdict.DIFFERS, Verdict.UNDECIDED]


def test_what_any_run_shows_fails_at_every_scale() -> None:
    wrong = compare_number("w1", ours=2.0, correct=1.0, correct_source="a closed form", tolerance=0.1, because="equal")
    assert at_scale(wrong, Scale.SMOKE).verdict is Verdict.DIFFERS


def test_data_that_are_too_easy_are_judged_at_no_scale() -> None:
    found = at_scale(claim(False, too_small_because="the digits are too easy"), Scale.FULL)
    assert (found.verdict, found.because) == (Verdict.TOO_SMALL, "the digits are too easy")


def test_what_was_not_measured_stays_so() -> None:
    missing = claim(None).model_copy(update={"verdict": Verdict.NOT_MEASURED, "ours": None})
    assert at_scale(missing, Scale.SMOKE).verdict is Verdict.NOT_MEASURED


def test_what_trained_networks_show_needs_trainings_that_end() -> None:
    assert {slug for slug, question in COURSE.questions.items() if question.least is not None} == set(TRAINED)


def test_reader_is_told_what_larger_runs_would_judge(capsys: pytest.CaptureFixture[str]) -> None:
    small = at_scale(claim(False), Scale.SMOKE).model_dump(mode="json")
    other = at_scale(claim(None), Scale.SMOKE).model_dump(mode="json") | {"quantity": "loss"}
    good = claim(True, least=None).model_dump(mode="json") | {"quantity": "weights"}
    questions = [{"question": "4a", "comparisons": [good, small]}, {"question": "4b", "comparisons": [other]}]
    findings = {"scale": "smoke", "questions": questions}
    _print_findings(findings)
    _print_too_small(findings)
    out = capsys.readouterr().out
    assert "weights" in out
    assert "accuracy" not in out
    assert "Too small here: 2 comparisons of questions 4a, 4b need larger runs.\n" in out
    assert "gpulab reproduce --scale cpu" in out
