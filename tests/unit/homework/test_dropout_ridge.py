"""`dropout-ridge`: the identities hold to rounding, the Monte Carlo error is what chance allows."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from experiments.contract import Stopped
from experiments.hosting.run_directory import RunDirectory
from homework.experiments.dropout_ridge import figures
from homework.experiments.dropout_ridge import run as module
from homework.experiments.dropout_ridge.spec import EXPERIMENT, DropoutRidgeResult, DropoutRidgeSpec
from homework.experiments.dropout_ridge.theory import dropout_weights, expected_gram, gram_sd

EXPECTED = json.loads((Path(module.__file__).parent / "expected.json").read_text())


def execute(tmp_path: Path, seed: int = 0, **fields: Any) -> DropoutRidgeResult:
    run = RunDirectory(tmp_path / f"{len(list(tmp_path.iterdir()))}", seed=seed)
    result = module.run(DropoutRidgeSpec.model_validate(fields), run)
    run.close()
    return result


def test_monte_carlo_agrees_with_the_closed_form_and_not_with_zeros_off_the_diagonal(tmp_path: Path) -> None:
    for seed in range(5):
        result = execute(tmp_path, seed=seed, masks=10_000)
        # Ten entries differ; beyond 5 standard errors lies less than one draw in 100,000.
        assert result.largest_deviation < 5
        assert result.sheet_largest_deviation > 20


def test_error_falls_with_the_root_of_the_number_of_masks(tmp_path: Path) -> None:
    result = execute(tmp_path, masks=100_000)
    seen = result.convergence
    assert seen.masks[-1] == 100_000
    assert seen.standard_error[0] / seen.standard_error[-1] == pytest.approx((100_000 / seen.masks[0]) ** 0.5)
    ratios = np.array(seen.error) / np.array(seen.standard_error)
    assert np.all(ratios < 4)
    assert ratios.mean() > 0.2


def test_moments_of_the_masked_gram_match_every_mask_enumerated() -> None:
    X = np.array([[1.0, 2.0], [3.0, -1.0]])
    grams, chances = [], []
    for bits in range(16):
        R = np.array([[bits & 1, bits >> 1 & 1], [bits >> 2 & 1, bits >> 3 & 1]])
        chances.append(0.3 ** R.sum() * 0.7 ** (4 - R.sum()))
        grams.append((R * X).T @ (R * X))
    mean = np.einsum("m,mij->ij", chances, grams)
    variance = np.einsum("m,mij->ij", chances, np.square(grams)) - mean**2
    np.testing.assert_allclose(expected_gram(X, 0.3), mean, rtol=1e-12)
    np.testing.assert_allclose(gram_sd(X, 0.3), np.sqrt(variance), rtol=1e-12)


@pytest.mark.parametrize("keep", [0.05, 0.3, 0.5, 0.95])
def test_dropout_is_the_ridge_with_and_without_the_change_of_variables(tmp_path: Path, keep: float) -> None:
    result = execute(tmp_path, keep=keep, masks=100)
    assert result.largest_weight_difference < 1e-10
    assert result.largest_change_difference < 1e-10
    assert result.path_largest_difference < 1e-10
    assert result.sheet_largest_weight_difference > 0.01


def test_the_dropout_minimiser_has_no_slope() -> None:
    generator = np.random.default_rng(1)
    X, y = generator.standard_normal((6, 3)), generator.standard_normal(6)
    w = dropout_weights(X, y, 0.4)
    slope = 2 * (expected_gram(X, 0.4) @ w - 0.4 * X.T @ y)
    np.testing.assert_allclose(slope, 0, atol=1e-12)


def test_every_changed_column_has_the_predicted_norm(tmp_path: Path) -> None:
    result = execute(tmp_path, masks=100)
    assert result.predicted_column_norm == pytest.approx(0.925820, abs=1e-6)
    assert result.changed_column_norms == pytest.approx([result.predicted_column_norm] * 4)
    assert max(result.sheet_column_norms) > 2 * min(result.sheet_column_norms)


def test_a_columns_unit_matters_to_the_plain_ridge_only(tmp_path: Path) -> None:
    result = execute(tmp_path, masks=100)
    assert result.dropout_prediction_change < 1e-12
    assert result.plain_ridge_prediction_change > 0.01


def test_the_left_product_exists_for_square_inputs_only(tmp_path: Path) -> None:
    assert "4 x 4" in str(execute(tmp_path, masks=100).sheet_left_product_error)
    assert execute(tmp_path, masks=100, rows=4).sheet_left_product_error is None


def test_values_of_seed_0_are_the_recorded_ones(tmp_path: Path) -> None:
    result = execute(tmp_path, seed=EXPECTED["seed"], **EXPECTED["spec"]).model_dump(mode="json")
    for name, value in EXPECTED["result"].items():
        if isinstance(value, str):
            assert result[name] == value
        else:
            # Differences between equal solutions are rounding alone, and rounding may differ between processors.
            np.testing.assert_allclose(result[name], value, rtol=1e-6, atol=1e-12, err_msg=name)


def test_same_seed_same_numbers_other_seed_others(tmp_path: Path) -> None:
    first, again, other = (execute(tmp_path, seed=seed, masks=100) for seed in (1, 1, 2))
    assert first == again
    assert first.closed_form != other.closed_form


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"keep": 0.0}, "greater than or equal to 0.01"),
        ({"masks": 10_000_000, "rows": 256}, "at most 2,000,000,000; it is 10,240,000,000"),
        ({"dropout": 0.5}, "Extra inputs are not permitted"),
    ],
)
def test_a_bad_spec_is_refused_with_the_limit(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DropoutRidgeSpec.model_validate(fields)


def test_a_stop_ends_the_run(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.ask_to_stop()
    with pytest.raises(Stopped, match="masks"):
        module.run(DropoutRidgeSpec(), run)


def test_every_recorded_metric_is_declared(tmp_path: Path) -> None:
    execute(tmp_path, masks=100)
    records = [json.loads(line) for line in (tmp_path / "0" / "records.ndjson").read_text().splitlines()]
    recorded = {name for record in records if record["type"] == "metric" for name in record["values"]}
    assert recorded == {metric.name for metric in EXPERIMENT.metrics}


def test_pictures_can_be_drawn_and_name_their_axes(tmp_path: Path) -> None:
    drawn = figures.draw(DropoutRidgeSpec(masks=100, columns=8), execute(tmp_path, masks=100, columns=8))
    assert drawn.keys() == {"gram", "columns", "path"}
    for name, figure in drawn.items():
        figure.savefig(tmp_path / f"{name}.png")
        assert all(axes.get_ylabel() for axes in figure.axes)
