"""`pooling-gradients`: invariants of both gradients, ties, and what is kept of a band."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from experiments.contract import Stopped
from experiments.hosting.run_directory import RunDirectory
from homework.experiments.pooling_gradients import figures
from homework.experiments.pooling_gradients import run as module
from homework.experiments.pooling_gradients.backward import image_of, pool, pull_back, pull_back_by_formula, windows_of
from homework.experiments.pooling_gradients.spec import EXPERIMENT, Kind, PoolingGradientsResult, PoolingGradientsSpec

EXPECTED = json.loads((Path(module.__file__).parent / "expected.json").read_text())


def execute(tmp_path: Path, seed: int = 0, **fields: Any) -> PoolingGradientsResult:
    run = RunDirectory(tmp_path / f"{len(list(tmp_path.iterdir()))}", seed=seed)
    result = module.run(PoolingGradientsSpec.model_validate(fields), run)
    run.close()
    return result


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


@pytest.mark.parametrize("kind", ["max", "average"])
@pytest.mark.parametrize("levels", [1, 2, 3])
def test_gradient_matches_finite_differences(kind: Kind, levels: int) -> None:
    image, upstream = normal(8, 8), normal(8 >> levels, 8 >> levels)
    gradient = pull_back(image, upstream, kind, levels)
    for i in range(8):
        for j in range(8):
            shift = torch.zeros_like(image)
            shift[i, j] = 1e-6
            ends = [(pool((image + sign * shift)[None], kind, levels)[0] * upstream).sum() for sign in (1, -1)]
            assert float(ends[0] - ends[1]) / 2e-6 == pytest.approx(float(gradient[i, j]), abs=1e-7)


@pytest.mark.parametrize("kind", ["max", "average"])
@pytest.mark.parametrize("levels", [1, 2, 3, 4])
def test_formula_equals_automatic_differentiation(kind: Kind, levels: int) -> None:
    image, upstream = normal(16, 16), normal(16 >> levels, 16 >> levels)
    torch.testing.assert_close(
        pull_back_by_formula(image, upstream, kind, levels), pull_back(image, upstream, kind, levels)
    )


def test_ties_follow_the_framework_in_the_formula_too() -> None:
    image = torch.tensor([[1.0, 1.0], [0.0, 1.0]], dtype=torch.float64)
    one = torch.ones(1, 1, dtype=torch.float64)
    expected = torch.tensor([[1.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(pull_back(image, one, "max", 1), expected)
    torch.testing.assert_close(pull_back_by_formula(image, one, "max", 1), expected)


def test_windows_can_be_put_back() -> None:
    image = normal(6, 6)
    assert torch.equal(image_of(windows_of(image)), image)
    assert windows_of(image)[1, 2].tolist() == [image[2, 4], image[2, 5], image[3, 4], image[3, 5]]


def test_invariants_of_both_poolings_on_an_8_by_8_image(tmp_path: Path) -> None:
    result = execute(tmp_path, images=10)
    counts = {(entry.kind, entry.levels): entry.nonzeros for entry in result.backward}
    assert counts == {("max", 1): 16, ("max", 2): 4, ("average", 1): 64, ("average", 2): 64}
    ratios = [entry.norm_ratio for entry in result.backward]
    assert ratios == pytest.approx([1, 0.25, 1, 0.0625])
    assert result.largest_sum_deviation < 1e-10
    assert result.largest_norm_deviation < 1e-10
    assert result.largest_formula_difference < 1e-12
    for entry in result.backward:
        per_block = 1 if entry.kind == "max" else 4**entry.levels
        assert (entry.fewest_nonzeros_in_block, entry.most_nonzeros_in_block) == (per_block, per_block)


def test_max_pooling_sends_a_tie_to_the_first_pixel_and_amax_shares_it(tmp_path: Path) -> None:
    result = execute(tmp_path, images=10)
    assert result.tie_shares_max_pool == [1, 0, 0, 0]
    assert result.tie_shares_amax == [0.25] * 4


def test_max_keeps_a_thin_band_and_average_dilutes_it(tmp_path: Path) -> None:
    result = execute(tmp_path, levels=2, images=10)
    kept = {f"{entry.kind} {entry.levels}": [entry.band_kept, entry.spike_kept] for entry in result.responses}
    assert kept["max 2"] == [1, 1]
    assert kept["average 1"] == pytest.approx([1 / 2, 1 / 4])
    assert kept["average 2"] == pytest.approx([1 / 4, 1 / 16])


def test_a_band_across_two_windows_is_the_worst_for_the_average(tmp_path: Path) -> None:
    result = execute(tmp_path, levels=1, band_width=2, images=10)
    average = next(entry for entry in result.responses if entry.kind == "average")
    # Of the 27 positions 14 fill a window and 13 lie half in each of two.
    assert average.band_kept_least == 0.5
    assert average.band_kept == pytest.approx((14 + 13 / 2) / 27)


def test_noise_after_pooling_is_that_of_a_mean_or_of_a_maximum(tmp_path: Path) -> None:
    result = execute(tmp_path, levels=2, images=400, noise_sd=0.2)
    noise = {(entry.kind, entry.levels): entry.noise_sd for entry in result.responses}
    assert noise[("average", 1)] == pytest.approx(0.1, rel=0.02)
    assert noise[("average", 2)] == pytest.approx(0.05, rel=0.03)
    # Standard deviation of the largest of four standard normal draws: 0.7012.
    assert noise[("max", 1)] == pytest.approx(0.2 * 0.7012, rel=0.02)


def test_average_pooling_has_its_exact_contrast_within_the_error(tmp_path: Path) -> None:
    result = execute(tmp_path, seed=3, levels=2, images=400, band_height=0.5)
    for entry in result.responses:
        if entry.kind == "average":
            assert abs(entry.contrast - 0.5 / 2**entry.levels) < 4 * entry.contrast_standard_error
        assert math.isclose(entry.contrast_to_noise, entry.contrast / entry.noise_sd)


def test_values_of_seed_0_are_the_recorded_ones(tmp_path: Path) -> None:
    result = execute(tmp_path, seed=EXPECTED["seed"], **EXPECTED["spec"]).model_dump(mode="json")
    for name, value in EXPECTED["result"].items():
        if name in {"backward", "responses"}:
            for entry, expected in zip(result[name], value, strict=True):
                for key, number in expected.items():
                    assert entry[key] == (number if isinstance(number, str) else pytest.approx(number, rel=1e-6)), key
        else:
            np.testing.assert_allclose(result[name], value, rtol=1e-6, atol=1e-12, err_msg=name)


def test_same_seed_same_numbers_other_seed_others(tmp_path: Path) -> None:
    first, again, other = (execute(tmp_path, seed=seed, images=10) for seed in (1, 1, 2))
    assert first == again
    assert first.upstreams != other.upstreams


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"image_side": 6}, "image_side must be a multiple of 2\\^levels = 4; it is 6"),
        ({"levels": 3}, "band_side must be a multiple of 2\\^levels = 8; it is 28"),
        ({"band_side": 16, "band_width": 10}, "at most band_side - 2 x 2\\^levels \\+ 1 = 9"),
        ({"images": 20_000}, "at most 8,388,608; it is 15,680,000"),
        ({"stride": 1}, "Extra inputs are not permitted"),
    ],
)
def test_a_bad_spec_is_refused_with_the_limit(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PoolingGradientsSpec.model_validate(fields)


def test_the_widest_band_leaves_background(tmp_path: Path) -> None:
    result = execute(tmp_path, band_side=16, band_width=9, images=50)
    assert all(entry.noise_sd > 0 for entry in result.responses)


def test_a_stop_ends_the_run(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.ask_to_stop()
    with pytest.raises(Stopped, match="layer 1"):
        module.run(PoolingGradientsSpec(images=10), run)


def test_every_recorded_metric_is_declared(tmp_path: Path) -> None:
    execute(tmp_path, images=10)
    records = [json.loads(line) for line in (tmp_path / "0" / "records.ndjson").read_text().splitlines()]
    metrics = [record for record in records if record["type"] == "metric"]
    assert [record["step"] for record in metrics] == [1, 2]
    assert set(metrics[0]["values"]) == {metric.name for metric in EXPERIMENT.metrics}


@pytest.mark.parametrize("levels", [1, 2, 4])
def test_pictures_can_be_drawn_and_name_their_axes(tmp_path: Path, levels: int) -> None:
    fields = {"levels": levels, "image_side": 16, "band_side": 64, "images": 10}
    drawn = figures.draw(PoolingGradientsSpec.model_validate(fields), execute(tmp_path, **fields))
    assert drawn.keys() == {"gradients", "band", "kept"}
    for name, figure in drawn.items():
        figure.savefig(tmp_path / f"{name}.png")
        assert all(axes.get_ylabel() for axes in figure.axes)
