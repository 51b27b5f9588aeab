"""`dropout-linear` against the closed forms, finite differences and its own exact moments."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from pydantic import ValidationError

from experiments.contract import Diverged, Stopped
from experiments.hosting.run_directory import RunDirectory
from homework.experiments.dropout_linear import figures
from homework.experiments.dropout_linear import run as module
from homework.experiments.dropout_linear.spec import EXPERIMENT, DropoutLinearResult, DropoutLinearSpec
from homework.experiments.dropout_linear.theory import Problem

EXPECTED = json.loads((Path(module.__file__).parent / "expected.json").read_text())
FOUR_ROWS: dict[str, Any] = {"x": [[1, 2, 0.5], [0, 1, -1], [3, 1, 2], [-1, 0.5, 1]], "y": [1, 2, 3, 4]}


def execute(tmp_path: Path, seed: int = 0, **fields: Any) -> DropoutLinearResult:
    folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
    run = RunDirectory(folder, seed=seed)
    result = module.run(DropoutLinearSpec.model_validate(fields), run)
    run.close()
    return result


def metrics(folder: Path) -> list[dict[str, object]]:
    records = map(json.loads, (folder / "records.ndjson").read_text().splitlines())
    return [record for record in records if record["type"] == "metric"]


def test_defaults_are_the_homeworks_setup() -> None:
    spec = DropoutLinearSpec()
    assert (spec.x, spec.y, spec.bias) == (((10.0, 1.0),), (11.0,), False)
    assert (spec.optimizer, spec.learning_rate, spec.iterations, spec.batch_size) == ("sgd", 1e-3, 1000, 1)


@pytest.mark.parametrize("method", ["closed_form", "gradient"])
def test_without_dropout_both_methods_give_the_least_norm_solution(tmp_path: Path, method: str) -> None:
    result = execute(tmp_path, method=method)
    assert result.weights == pytest.approx([1.08910891, 0.10891089], abs=1e-8)
    assert result.bias is None
    assert result.clean_loss == pytest.approx(0, abs=1e-24)


@pytest.mark.parametrize("method", ["closed_form", "gradient"])
def test_a_bias_takes_its_share(tmp_path: Path, method: str) -> None:
    result = execute(tmp_path, method=method, bias=True)
    assert result.weights == pytest.approx([110 / 102, 11 / 102])
    assert result.bias == pytest.approx(11 / 102)


@pytest.mark.parametrize("p", [1e-6, 0.1, 0.3, 0.5, 0.7, 0.99])
def test_closed_form_under_dropout_taxes_contributions(tmp_path: Path, p: float) -> None:
    result = execute(tmp_path, method="closed_form", dropout=p)
    share = 11 * (1 - p) / (2 - p)
    assert result.weights == pytest.approx([share / 10, share])
    assert result.contributions == pytest.approx([share, share])
    assert result.clean_loss == pytest.approx(121 * p**2 / (2 - p) ** 2)
    assert result.train_loss == pytest.approx(121 * p / (2 - p))


def test_the_sweep_jumps_at_zero_but_its_loss_does_not(tmp_path: Path) -> None:
    at_zero = execute(tmp_path, method="closed_form")
    near_zero = execute(tmp_path, method="closed_form", dropout=1e-9)
    assert near_zero.weights == pytest.approx([0.55, 5.5], rel=1e-6)
    assert at_zero.weights == pytest.approx([110 / 101, 11 / 101])
    assert near_zero.clean_loss == pytest.approx(at_zero.clean_loss, abs=1e-9)


@pytest.mark.parametrize("bias", [False, True])
def test_closed_form_minimises_the_loss_averaged_over_every_mask(bias: bool) -> None:
    spec = DropoutLinearSpec.model_validate({**FOUR_ROWS, "dropout": 0.3, "bias": bias})
    problem = Problem.of(spec)

    def loss_over_all_masks(w: np.ndarray) -> float:
        total = 0.0
        for bits in range(8):
            mask = np.array([bits >> j & 1 for j in range(3)])
            probability = 0.7 ** mask.sum() * 0.3 ** (3 - mask.sum())
            z = np.array(spec.x) * mask / 0.7
            prediction = z @ w[:3] + (w[3] if bias else 0.0)
            total += probability * float(np.square(prediction - spec.y).mean())
        return total

    w = problem.solve()
    assert problem.train_loss(w) == pytest.approx(loss_over_all_masks(w), rel=1e-12)
    for j in range(len(w)):
        shift = 1e-4 * np.eye(len(w))[j]
        slope = (loss_over_all_masks(w + shift) - loss_over_all_masks(w - shift)) / 2e-4
        assert slope == pytest.approx(0, abs=1e-8)


def test_an_always_dropped_looking_column_of_zeros_gets_no_weight(tmp_path: Path) -> None:
    result = execute(tmp_path, method="closed_form", x=[[2, 0]], y=[4], dropout=0.5)
    assert result.weights == pytest.approx([1.0, 0.0])


def test_first_losses_follow_the_contraction_factor(tmp_path: Path) -> None:
    result = execute(tmp_path)
    assert result.curve is not None
    assert result.curve.loss[:3] == pytest.approx([121 * 0.798 ** (2 * t) for t in range(3)])


def test_batch_1024_after_1000_steps_is_short_by_the_slow_eigenvalue(tmp_path: Path) -> None:
    result = execute(tmp_path, dropout=0.5, batch_size=1024)
    assert result.expected_weights == pytest.approx([0.37582, 3.48494], abs=1e-5)
    assert result.expected_weights_sd is not None
    for weight, mean, sd in zip(result.weights, [0.37582, 3.48494], result.expected_weights_sd, strict=True):
        assert abs(weight - mean) < 4 * sd
    assert result.hessian_eigenvalues == pytest.approx([401.0075, 2.99246], abs=1e-4)
    assert result.time_constants_steps == pytest.approx([2.4937, 334.17], rel=1e-4)
    assert result.late_loss_mean == pytest.approx(40.7, abs=0.3)
    assert result.late_loss_sd == pytest.approx(46.6 / 32, rel=0.15)
    assert any("334.2 steps" in sentence for sentence in result.explanation)


def test_batch_1_scatters_about_the_exact_mean_with_the_exact_spread(tmp_path: Path) -> None:
    runs = [execute(tmp_path, seed=seed, dropout=0.5, iterations=300) for seed in range(60)]
    weights = np.array([result.weights for result in runs])
    mean, sd = np.array(runs[0].expected_weights), np.array(runs[0].expected_weights_sd)
    assert np.all(np.abs(weights.mean(axis=0) - mean) < 4 * sd / math.sqrt(len(runs)))
    # The spread of a sample deviation is about sd / sqrt(2 n), 9 % here.
    assert weights.std(axis=0, ddof=1) == pytest.approx(sd, rel=0.35)


def test_exact_spread_of_several_rows_matches_many_simulated_runs() -> None:
    spec = DropoutLinearSpec.model_validate(
        {**FOUR_ROWS, "bias": True, "dropout": 0.4, "learning_rate": 0.02, "iterations": 60, "batch_size": 2}
    )
    problem = Problem.of(spec)
    generator = np.random.default_rng(0)
    w_RD = np.zeros((20_000, 4))
    for _ in range(spec.iterations):
        keep = generator.random((20_000, 2, 4, 4)) < problem.keep
        z = keep * problem.X / problem.keep
        residual = np.einsum("rbnd,rd->rbn", z, w_RD) - problem.y
        w_RD -= spec.learning_rate * 2 * np.einsum("rbn,rbnd->rd", residual, z) / 8
    sd = problem.sd_after(spec.iterations, spec.learning_rate, spec.batch_size)
    standard_error = sd / math.sqrt(len(w_RD))
    assert np.all(np.abs(w_RD.mean(axis=0) - problem.mean_after(60, 0.02)) < 5 * standard_error)
    assert w_RD.std(axis=0) == pytest.approx(sd, rel=0.05)


def test_several_rows_with_a_bias_land_where_the_moments_say(tmp_path: Path) -> None:
    result = execute(tmp_path, **FOUR_ROWS, bias=True, dropout=0.4, learning_rate=0.02, iterations=3000, batch_size=256)
    assert result.expected_weights_sd is not None
    assert result.bias == pytest.approx(result.closed_form_bias, abs=0.1)
    for weight, exact, sd in zip(result.weights, result.closed_form_weights, result.expected_weights_sd, strict=True):
        assert 0 < sd < 0.02
        assert abs(weight - exact) < 5 * sd


def test_several_rows_without_dropout_reach_least_squares(tmp_path: Path) -> None:
    result = execute(tmp_path, **FOUR_ROWS, learning_rate=0.05, iterations=4000)
    np.testing.assert_allclose(result.weights, np.linalg.lstsq(FOUR_ROWS["x"], FOUR_ROWS["y"])[0], rtol=1e-6)


def test_adam_without_dropout_moves_both_weights_alike(tmp_path: Path) -> None:
    result = execute(tmp_path, optimizer="adam", iterations=5000)
    assert result.weights == pytest.approx([1.0, 1.0], abs=1e-4)
    assert result.clean_loss == pytest.approx(0, abs=1e-8)
    assert result.expected_weights is None


def test_adam_under_dropout_finds_the_same_minimum_as_sgd(tmp_path: Path) -> None:
    result = execute(tmp_path, optimizer="adam", dropout=0.5, batch_size=256, iterations=9000)
    assert result.weights == pytest.approx([11 / 30, 11 / 3], abs=0.05)


def test_same_seed_same_numbers_other_seed_others(tmp_path: Path) -> None:
    first, again, other = (execute(tmp_path, seed=seed, dropout=0.5, iterations=50) for seed in (1, 1, 2))
    assert first == again
    assert first.weights != other.weights


def test_values_of_seed_0_are_the_recorded_ones(tmp_path: Path) -> None:
    result = execute(tmp_path, seed=EXPECTED["seed"], **EXPECTED["spec"]).model_dump(mode="json")
    for name, value in EXPECTED["result"].items():
        if value is None:
            assert result[name] is None, name
        else:
            assert result[name] == pytest.approx(value, rel=1e-6), name


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"x": [[10, 1], [1, 2]], "y": [11]}, "x has 2 rows, y has 1 values"),
        ({"y": [11, 12]}, "x has 1 rows, y has 2 values"),
        ({"x": [[10, 1], [1]], "y": [1, 2]}, "rows of 1 and 2"),
        ({"dropout": 1.0}, "less than 1"),
        ({"dropout": -0.1}, "greater than or equal to 0"),
        ({"iterations": 100_000, "batch_size": 65_536}, "at most 10,000,000,000; it is 13,107,200,000"),
        ({"learning_rate": float("nan")}, "finite"),
        ({"momentum": 0.9}, "Extra inputs are not permitted"),
    ],
)
def test_a_bad_spec_is_refused_with_the_field_and_the_limit(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DropoutLinearSpec.model_validate(fields)


def test_a_length_mismatch_names_the_field() -> None:
    with pytest.raises(ValidationError) as caught:
        DropoutLinearSpec.model_validate({"x": [[1, 2]], "y": [1, 2, 3]})
    assert caught.value.errors()[0]["loc"] == ("y",)


@pytest.mark.parametrize("iterations", [2000, 2001, 9000])
def test_metrics_keep_the_first_hundred_steps_and_stay_few(tmp_path: Path, iterations: int) -> None:
    run = RunDirectory(tmp_path)
    module.run(DropoutLinearSpec(dropout=0.5, iterations=iterations), run)
    steps = [int(str(record["step"])) for record in metrics(tmp_path)]
    assert steps[:100] == list(range(100))
    assert steps == sorted(set(steps))
    assert steps[-1] == iterations - 1
    assert len(steps) <= 2001
    assert iterations > 2000 or len(steps) == iterations


def test_every_recorded_metric_is_declared(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    module.run(DropoutLinearSpec(bias=True, iterations=3), run)
    recorded = {name for record in metrics(tmp_path) for name in dict(record["values"])}  # type: ignore[call-overload]
    assert recorded == {"loss", "w1", "w2", "bias"}
    assert recorded <= {metric.name for metric in EXPERIMENT.metrics}


def test_a_stop_ends_the_iteration(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.ask_to_stop()
    with pytest.raises(Stopped, match="step 0 of 1000"):
        module.run(DropoutLinearSpec(), run)


def test_a_step_too_large_diverges(tmp_path: Path) -> None:
    with pytest.raises(Diverged, match="learning_rate"):
        execute(tmp_path, learning_rate=0.1, iterations=1000)


def test_moments_that_overflow_are_null_though_the_run_is_finite(tmp_path: Path) -> None:
    # One step in a hundred multiplies the error by -999: rare in a run, ruinous for the mean over all runs.
    result = execute(tmp_path, x=[[10]], dropout=0.99, learning_rate=5e-4, iterations=400)
    assert math.isfinite(result.weights[0])
    assert result.expected_weights is None
    assert result.expected_weights_sd is None


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"method": "closed_form", "dropout": 0.5}, {"contributions", "sweep"}),
        ({"dropout": 0.5, "iterations": 150}, {"contributions", "sweep", "loss", "weights"}),
        ({"iterations": 1}, {"contributions", "sweep", "loss", "weights"}),
        ({**FOUR_ROWS, "bias": True, "iterations": 20}, {"contributions", "sweep", "loss", "weights"}),
    ],
)
def test_pictures_can_be_drawn_and_name_their_axes(tmp_path: Path, fields: dict[str, Any], names: set[str]) -> None:
    drawn = figures.draw(DropoutLinearSpec.model_validate(fields), execute(tmp_path, **fields))
    assert drawn.keys() == names
    for name, figure in drawn.items():
        assert isinstance(figure, Figure)
        figure.savefig(tmp_path / f"{name}.png")
        assert all(axes.get_ylabel() and axes.get_title() for axes in figure.axes)
