"""Invalid fields as sentences: the field's name first, the limit as a number."""

import pytest

from tests.unit.dashboard.scripts import run_module


@pytest.mark.parametrize(
    ("path", "message", "limit", "sentence"),
    [
        (
            "spec.batch_size",
            "Input should be less than or equal to 4096",
            {"le": 4096},
            "Batch size must be at most 4,096.",
        ),
        ("spec.epochs", "input should be greater than 0", {"gt": 0}, "Epochs must be more than 0."),
        ("spec.sides.0", "Input should be a valid integer", None, "Sides must be a valid integer."),
        ("spec.optimizer", "Input should be 'sgd' or 'adam'", {"expected": "…"}, "Optimizer must be 'sgd' or 'adam'."),
        ("spec.warmup", "Extra inputs are not permitted", None, "Warmup is not a field of this experiment."),
        ("spec.model", "Field required", None, "Model is required."),
        ("priority", "`high` is for staff", None, "Priority: high is for staff."),
        ("body", "is no JSON", None, "Is no JSON."),
    ],
)
def test_an_invalid_field_is_a_sentence(path: str, message: str, limit: object, sentence: str) -> None:
    given = {"path": path, "message": message, "limit": limit}
    assert run_module("api/invalid.ts", "return module.invalidText(given);", given) == sentence


def test_a_field_with_its_name_beside_it_gets_the_rest_of_the_sentence() -> None:
    given = {"path": "spec.batch_size", "message": "Input should be greater than or equal to 1", "limit": {"ge": 1}}
    assert run_module("api/invalid.ts", "return module.aboutField(given);", given) == "Must be at least 1."
