"""`conv-gradients`: the chain rule by hand, and the growth of the variance within its intervals."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from experiments.contract import Stopped
from experiments.hosting.run_directory import RunDirectory
from homework.experiments.conv_gradients import figures
from homework.experiments.conv_gradients import run as module
from homework.experiments.conv_gradients.exact import check_gradients, log_cosh
from homework.experiments.conv_gradients.growth import closed_form, draw_gradients, slopes
from homework.experiments.conv_gradients.spec import EXPERIMENT, ConvGradientsResult, ConvGradientsSpec

EXPECTED = json.loads((Path(module.__file__).parent / "expected.json").read_text())
SMALL = {"sides": [4, 8, 16], "repeats": 200, "steps": 5}


def execute(tmp_path: Path, seed: int = 0, **fields: Any) -> ConvGradientsResult:
    run = RunDirectory(tmp_path / f"{len(list(tmp_path.iterdir()))}", seed=seed)
    result = module.run(ConvGradientsSpec.model_validate({**SMALL, **fields}), run)
    run.close()
    return result


@pytest.mark.parametrize(("n", "k"), [(8, 3), (5, 2), (6, 1), (4, 4)])
def test_weight_gradient_is_the_sum_over_positions_written_out(n: int, k: int) -> None:
    spec = ConvGradientsSpec(image_side=n, kernel_side=k)
    found = check_gradients(spec, torch.Generator().manual_seed(3))
    m = n - k + 1
    by_hand = torch.zeros(k, k, dtype=torch.float64)
    for h in range(k):
        for col in range(k):
            for i in range(m):
                for j in range(m):
                    by_hand[h, col] += found.upstream[i, j] * found.image[i + h, j + col]
    torch.testing.assert_close(found.weight, by_hand, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.weight, found.weight_by_differences, rtol=1e-6, atol=1e-7)
    assert float(found.bias) == pytest.approx(float(found.upstream.sum()), rel=1e-12)
    assert float(found.bias) == pytest.approx(found.bias_by_differences, rel=1e-6)


def test_gradients_agree_and_the_sheets_do_not(tmp_path: Path) -> None:
    result = execute(tmp_path)
    assert result.correlation_difference < 1e-12
    assert result.finite_difference_error < 1e-7
    assert result.flipped_difference > 0.1
    assert result.bias_gradient == pytest.approx(result.upstream_sum)
    assert abs(result.bias_gradient) > 0.1


def test_trained_weights_are_a_combination_of_patches_and_no_average(tmp_path: Path) -> None:
    result = execute(tmp_path, steps=50)
    assert result.patches == 50 * 6 * 6
    assert result.patch_difference < 1e-10
    assert np.abs(result.weight_change).max() > 0.1
    assert 0.1 < result.negative_share < 0.9
    assert abs(result.coefficient_sum - 1) > 0.1


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
def test_deviation_of_the_gradient_grows_with_the_side(tmp_path: Path, distribution: str) -> None:
    result = execute(tmp_path, sides=[8, 16, 32], repeats=2000, distribution=distribution)
    assert result.exponent_low < 1 < result.exponent_high
    assert result.exponent_high - result.exponent_low < 0.1
    assert result.closed_form_exponent == pytest.approx(1)
    assert result.sheet_exponent == pytest.approx(0.5)
    for point in result.growth:
        assert point.variance_low < point.closed_form < point.variance_high
        assert not point.variance_low < point.sheet < point.variance_high
        assert point.mean_deviation < 4


@pytest.mark.parametrize("shared", [0.0, 0.5, 1.0])
def test_variance_with_a_shared_part_has_its_closed_form(shared: float) -> None:
    spec = ConvGradientsSpec(repeats=20_000, shared_variance=shared, input_sd=2.0, upstream_sd=0.25)
    gradients = draw_gradients(spec, 8, torch.Generator().manual_seed(1))
    assert float(gradients.square().mean()) == pytest.approx(closed_form(spec, 8), rel=0.06)
    assert closed_form(spec, 8) == pytest.approx(0.25 * 36 * (1 + 35 * shared**2))


def test_a_shared_part_makes_the_gradient_grow_with_the_area(tmp_path: Path) -> None:
    result = execute(tmp_path, sides=[16, 32, 64], repeats=400, shared_variance=1.0)
    assert result.closed_form_exponent == pytest.approx(2)
    assert result.exponent_low < 2 < result.exponent_high


def test_slope_of_a_power_law_is_its_power() -> None:
    sides = [3, 6, 20]
    variances = np.array([[side**3.0, 5 * side**1.0] for side in sides])
    np.testing.assert_allclose(slopes(sides, variances), [1.5, 0.5])


def test_log_cosh_is_exact_and_does_not_overflow() -> None:
    values = torch.tensor([-2.0, 0.0, 0.5], dtype=torch.float64)
    assert float(log_cosh(values)) == pytest.approx(float(values.cosh().log().sum()))
    assert float(log_cosh(torch.tensor([1e4], dtype=torch.float64))) == pytest.approx(1e4 - np.log(2))


def test_values_of_seed_0_are_the_recorded_ones(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path, seed=EXPECTED["seed"])
    result = module.run(ConvGradientsSpec.model_validate(EXPECTED["spec"]), run).model_dump(mode="json")
    for name, value in EXPECTED["result"].items():
        if name == "growth":
            for point, expected in zip(result[name], value, strict=True):
                assert point == pytest.approx(expected, rel=1e-6)
        else:
            # What is zero but for rounding may round otherwise on another processor.
            np.testing.assert_allclose(result[name], value, rtol=1e-6, atol=1e-9, err_msg=name)


def test_same_seed_same_numbers_other_seed_others(tmp_path: Path) -> None:
    first, again, other = (execute(tmp_path, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.exponent != other.exponent


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kernel_side": 9}, "at most the smallest side, 8; it is 9"),
        ({"sides": [8, 8, 16]}, "sides must grow"),
        ({"sides": [8, 16]}, "at least 3 items"),
        ({"sides": [8, 16, 1024]}, "at 512 or below"),
        ({"repeats": 10_000, "sides": [8, 16, 512]}, "at most 2,000,000,000 in all; it is 2,624,640,000"),
        ({"padding": 1}, "Extra inputs are not permitted"),
    ],
)
def test_a_bad_spec_is_refused_with_the_limit(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ConvGradientsSpec.model_validate(fields)


def test_a_stop_ends_the_run(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.ask_to_stop()
    with pytest.raises(Stopped, match="side 8"):
        module.run(ConvGradientsSpec(), run)


def test_every_recorded_metric_is_declared(tmp_path: Path) -> None:
    execute(tmp_path)
    records = [json.loads(line) for line in (tmp_path / "0" / "records.ndjson").read_text().splitlines()]
    metrics = [record for record in records if record["type"] == "metric"]
    assert [record["step"] for record in metrics] == [4, 8, 16]
    assert set(metrics[0]["values"]) == {metric.name for metric in EXPERIMENT.metrics}


def test_pictures_can_be_drawn_and_name_their_axes(tmp_path: Path) -> None:
    drawn = figures.draw(ConvGradientsSpec.model_validate(SMALL), execute(tmp_path))
    assert drawn.keys() == {"gradient", "patches", "growth"}
    for name, figure in drawn.items():
        figure.savefig(tmp_path / f"{name}.png")
    assert drawn["growth"].axes[0].get_ylabel() == "standard deviation of dw"
