"""The homework's questions of memory, asked of an emulated card: figures beside the sheet, never called measured."""

from typing import Any

import pytest

from experiments.hosting.emulated import CONTEXT_IS_A_GUESS, source_of
from experiments.studies.findings import Verdict
from experiments.studies.outcome import RunOutcome
from experiments.studies.plan import Scale
from experiments.studies.question import Answer, Runs, Setting
from homework.questions.batches import BATCH_QUESTIONS
from homework.questions.memory import MEMORY_QUESTIONS

MIB = 1 << 20
EMULATED = "PyTorch's allocator on an emulated T4"


def batch_run(batch_size: int, memory_mib: int) -> RunOutcome:
    """As `without_values` leaves a run's result."""
    row = {"epoch": 1, "accuracy": None, "elapsed_seconds": None, "memory_used_bytes": memory_mib * MIB}
    result: dict[str, Any] = {
        "rows": [row], "learning_rate": 1e-3, "elapsed_seconds": None, "images_per_second": None,
        "final_accuracy": None, "best_accuracy": None, "final_validation_accuracy": None,
        "saved_activation_bytes_per_image": 22.2 * MIB, "parameter_bytes": 44 * MIB,
        "memory_used_bytes": memory_mib * MIB, "not_known": "emulated",
    }  # fmt: skip
    return RunOutcome(
        experiment="batch-size",
        spec={"batch_size": batch_size},
        seed=0,
        result=result,
        device="cuda",
        device_name="emulated T4",
    )


def answer_5c() -> Answer:
    (question,) = BATCH_QUESTIONS
    return question.answer(Runs([batch_run(64, 2000), batch_run(256, 8000)]))


def test_question_of_batches_is_answered_by_memory_alone() -> None:
    found = {comparison.quantity: comparison for comparison in answer_5c().comparisons}
    assert "device memory for each further image of a batch, MiB" in found
    assert not any("epoch" in quantity or "a second" in quantity for quantity in found)


def test_what_was_emulated_says_so_and_what_is_not_known_says_why() -> None:
    notes = " ".join(answer_5c().notes)
    assert EMULATED in notes
    assert CONTEXT_IS_A_GUESS in notes
    assert "Speed and accuracy are not known" in notes
    (figure,) = answer_5c().figures
    labels = [series.label for series in figure.panels[0].series]
    assert EMULATED in labels
    assert not any("measured" in label for label in labels)


def test_overhead_of_an_emulated_card_is_called_a_guess() -> None:
    question = next(question for question in MEMORY_QUESTIONS if question.slug == "5a")
    result = {"parameter_count": 1, "parameter_bytes": 4, "buffer_bytes": 8, "gradient_bytes": 4}
    result |= {"saved_activation_bytes": 9, "context_bytes": 105 * MIB, "overhead_bytes": 120 * MIB}
    outcome = RunOutcome(
        experiment="model-memory",
        spec={"optimizer": "sgd"},
        seed=0,
        result=result,
        device="cuda",
        device_name="emulated T4",
    )
    found = question.answer(Runs([outcome]))
    overhead = next(one for one in found.comparisons if one.quantity.startswith("overhead on this"))
    assert overhead.verdict is not Verdict.NOT_MEASURED
    assert EMULATED in str(overhead)
    assert "measured with" not in str(overhead)


@pytest.mark.parametrize(("emulated", "pixels"), [("T4", None), ("", 32)])
def test_an_emulated_lab_asks_at_the_sheets_own_sizes(
    monkeypatch: pytest.MonkeyPatch, emulated: str, pixels: int | None
) -> None:
    monkeypatch.setenv("GPULAB_EMULATE", emulated)
    question = next(question for question in MEMORY_QUESTIONS if question.slug == "5b")
    needs = question.needs(Setting(Scale.SMOKE, ["digits"]))
    assert {need.spec.get("image_size") for need in needs} == {pixels}


def test_a_real_card_is_measured() -> None:
    assert source_of("Tesla T4") is None
    assert source_of(None) is None
