"""Dropout on the inputs of a linear model is a ridge on columns of equal norm.

Claim, for n = 30, d = 4, p = 0.3 (keep), lambda = 2, 40000 masks, seed 0, float64 on one CPU core, a second:

- the Monte Carlo mean of A'A lies within chance of p^2 X'X + p(1-p) diag(X'X) (`largest_deviation` 1.5 standard
  errors), and far from a matrix without the off-diagonal p^2 (`sheet_largest_deviation` 112);
- p times the exact minimiser under dropout equals the Tikhonov solution with Gamma = sqrt((1-p)/p) diag(column norms),
  to rounding, for every p; so does the standard ridge on X~ = sqrt(lambda) X Gamma^-1;
- every column of X~ has the norm sqrt(lambda p/(1-p)) = 0.925820: a column's unit does not matter.
"""

from collections.abc import Callable, Iterator

import numpy as np

from experiments.contract import Run, Stopped
from homework.experiments.dropout_ridge.spec import Convergence, DropoutRidgeResult, DropoutRidgeSpec, Path
from homework.experiments.dropout_ridge.theory import (
    Array,
    column_norms,
    dropout_weights,
    expected_gram,
    gamma,
    gram_sd,
    least_squares,
    tikhonov,
)

INPUTS_PER_DRAW = 2**20
READINGS_PER_DECADE = 4
FIRST_READING = 20


def run(spec: DropoutRidgeSpec, run: Run) -> DropoutRidgeResult:
    """Draw the problem and the masks, solve it every way, and compare."""
    generator = np.random.default_rng(run.seed)
    X, y = _problem(spec, generator)
    closed_form = expected_gram(X, spec.keep)
    by_chance = _norm(gram_sd(X, spec.keep)) / _norm(closed_form)
    convergence = Convergence(masks=[], error=[], standard_error=[])
    mean = np.zeros_like(closed_form)
    for drawn, mean in _monte_carlo(spec, X, generator):
        if run.should_stop():
            raise Stopped(f"asked to stop after {drawn} of {spec.masks} masks")
        error = _norm(mean - closed_form) / _norm(closed_form)
        standard_error = by_chance / np.sqrt(drawn)
        run.metrics(drawn, {"error": error, "standard_error": standard_error})
        run.progress(drawn / spec.masks, f"{drawn} of {spec.masks} masks")
        convergence.masks.append(drawn)
        convergence.error.append(error)
        convergence.standard_error.append(standard_error)
    return _compare(spec, X, y, mean, convergence)


def _problem(spec: DropoutRidgeSpec, generator: np.random.Generator) -> tuple[Array, Array]:
    """Correlated columns of unequal scales, so that neither off-diagonal entries nor norms can be overlooked."""
    scales = np.geomspace(spec.scale_ratio, 1.0, spec.columns)
    shared = generator.standard_normal((spec.rows, 1))
    X = scales * (generator.standard_normal((spec.rows, spec.columns)) + shared) / np.sqrt(2)
    y = X @ (1 / scales) + spec.noise_sd * generator.standard_normal(spec.rows)
    return X, y


def _monte_carlo(spec: DropoutRidgeSpec, X: Array, generator: np.random.Generator) -> Iterator[tuple[int, Array]]:
    """After each of a geometric row of counts: masks drawn and the mean of A'A, shape (d, d)."""
    total = np.zeros((spec.columns, spec.columns))
    drawn, per_draw = 0, max(1, INPUTS_PER_DRAW // X.size)
    for target in _counts(spec.masks):
        while drawn < target:
            count = min(per_draw, target - drawn)
            A = ((generator.random((count, *X.shape)) < spec.keep) * X).reshape(-1, spec.columns)
            total += A.T @ A
            drawn += count
        yield drawn, total / drawn


def _counts(masks: int) -> list[int]:
    decades = np.log10(masks / FIRST_READING)
    grid = np.geomspace(FIRST_READING, masks, max(2, round(decades * READINGS_PER_DECADE) + 1))
    return sorted({round(value) for value in grid})


def _compare(spec: DropoutRidgeSpec, X: Array, y: Array, mean: Array, convergence: Convergence) -> DropoutRidgeResult:
    keep, gamma_D = spec.keep, gamma(X, spec.keep)
    closed_form = expected_gram(X, keep)
    sheet = np.diag(np.diag(closed_form))
    standard_error = gram_sd(X, keep) / np.sqrt(spec.masks)
    X_changed = np.sqrt(spec.strength) * X / gamma_D
    w_changed = tikhonov(X_changed, y, np.full(spec.columns, np.sqrt(spec.strength)))
    ridge = tikhonov(X, y, gamma_D)
    dropout = keep * dropout_weights(X, y, keep)
    back = np.sqrt(spec.strength) * w_changed / gamma_D
    by_sheet = keep * least_squares(sheet, keep * X.T @ y)
    # The sheet's Gamma has sums of squares where their roots belong.
    sheet_changed = np.sqrt(spec.strength) * X / (gamma_D * column_norms(X))
    path = _path(spec, X, y)
    return DropoutRidgeResult(
        monte_carlo=mean.tolist(),
        closed_form=closed_form.tolist(),
        sheet=sheet.tolist(),
        convergence=convergence,
        largest_deviation=float(np.max(np.abs(mean - closed_form) / standard_error)),
        sheet_largest_deviation=float(np.max(np.abs(mean - sheet) / standard_error)),
        relative_error=_norm(mean - closed_form) / _norm(closed_form),
        sheet_relative_error=_norm(mean - sheet) / _norm(closed_form),
        dropout_weights=dropout.tolist(),
        ridge_weights=ridge.tolist(),
        changed_variables_weights=back.tolist(),
        monte_carlo_weights=(keep * least_squares(mean, keep * X.T @ y)).tolist(),
        sheet_weights=by_sheet.tolist(),
        largest_weight_difference=_relative_gap(dropout, ridge),
        largest_change_difference=_relative_gap(back, ridge),
        sheet_largest_weight_difference=_relative_gap(by_sheet, ridge),
        column_norms=column_norms(X).tolist(),
        changed_column_norms=column_norms(X_changed).tolist(),
        predicted_column_norm=float(np.sqrt(spec.strength * keep / (1 - keep))),
        sheet_column_norms=column_norms(sheet_changed).tolist(),
        sheet_left_product_error=_left_product_error(spec),
        dropout_prediction_change=_prediction_change(X, lambda Z: tikhonov(Z, y, gamma(Z, keep))),
        plain_ridge_prediction_change=_prediction_change(
            X, lambda Z: tikhonov(Z, y, np.full(spec.columns, np.sqrt(spec.strength)))
        ),
        path=path,
        path_largest_difference=_relative_gap(np.array(path.dropout), np.array(path.ridge)),
    )


def _path(spec: DropoutRidgeSpec, X: Array, y: Array) -> Path:
    grid = np.linspace(0, 1, spec.path_points + 2)[1:-1].tolist()
    return Path(
        keep=grid,
        dropout=[(keep * dropout_weights(X, y, keep)).tolist() for keep in grid],
        ridge=[tikhonov(X, y, gamma(X, keep)).tolist() for keep in grid],
    )


def _prediction_change(X: Array, solve: Callable[[Array], Array]) -> float:
    """How far predictions move when the last column is expressed in a unit 1000 times smaller."""
    rescaled = X * np.append(np.ones(X.shape[1] - 1), 1000.0)
    before, after = X @ solve(X), rescaled @ solve(rescaled)
    return _relative_gap(after, before)


def _left_product_error(spec: DropoutRidgeSpec) -> str | None:
    n, d = spec.rows, spec.columns
    return None if n == d else f"Gamma^-1 is {d} x {d} and X is {n} x {d}: the inner sizes {d} and {n} differ"


def _relative_gap(found: Array, reference: Array) -> float:
    return float(np.abs(found - reference).max() / np.abs(reference).max())


def _norm(matrix: Array) -> float:
    return float(np.linalg.norm(matrix))
