"""Parameters and result of `dropout-ridge`."""

from typing import Self

from pydantic import Field, model_validator

from experiments.contract import Experiment, GpuUse, Metric, Result, Spec

MAX_INPUTS = 2 * 10**9


class DropoutRidgeSpec(Spec):
    """A random regression problem with columns of different scales, and the number of masks to draw."""

    rows: int = Field(default=30, ge=2, le=256)
    """Rows n of X."""
    columns: int = Field(default=4, ge=2, le=8)
    """Columns d of X."""
    keep: float = Field(default=0.3, ge=0.01, le=0.99)
    """The probability p of keeping an input; kept inputs are not rescaled."""
    scale_ratio: float = Field(default=10.0, ge=1, le=1e4)
    """Standard deviation of the largest column over that of the smallest. Others are evenly spaced on a log scale."""
    noise_sd: float = Field(default=0.5, ge=0, le=1e3)
    """Standard deviation of the targets' noise."""
    strength: float = Field(default=2.0, gt=0, le=1e6)
    """The ridge's lambda in the change of variables to a standard ridge problem."""
    masks: int = Field(default=40_000, ge=100, le=10_000_000)
    """Number of masks for the Monte Carlo mean of A'A, where A is the masked X."""
    path_points: int = Field(default=19, ge=3, le=99)
    """Number of keep probabilities on the path of solutions, evenly spaced between 0 and 1."""

    @model_validator(mode="after")
    def _affordable(self) -> Self:
        drawn = self.masks * self.rows * self.columns
        if drawn > MAX_INPUTS:
            raise ValueError(f"masks x rows x columns may be at most {MAX_INPUTS:,}; it is {drawn:,}")
        return self


class Convergence(Result):
    """How the Monte Carlo mean nears the closed form."""

    masks: list[int]
    """Masks drawn so far."""
    error: list[float]
    """Frobenius norm of the mean minus the closed form, over that of the closed form."""
    standard_error: list[float]
    """What that error is by chance: its root mean square over all draws, exact."""


class Path(Result):
    """Solutions over the keep probability."""

    keep: list[float]
    """Keep probabilities."""
    dropout: list[list[float]]
    """p times the minimiser under dropout, one list a keep probability."""
    ridge: list[list[float]]
    """The Tikhonov solution, one list a keep probability."""


class DropoutRidgeResult(Result):
    """The identities between dropout and ridge, and what the sheet's formulas give in their place."""

    monte_carlo: list[list[float]]
    """Mean of A'A over the masks drawn."""
    closed_form: list[list[float]]
    """p^2 X'X + p(1-p) diag(X'X)."""
    sheet: list[list[float]]
    """The sheet's matrix: the same diagonal, zeros elsewhere."""
    convergence: Convergence
    """The error against the number of masks."""
    largest_deviation: float
    """Largest entry of |Monte Carlo - closed form|, in standard errors of that entry."""
    sheet_largest_deviation: float
    """The same against the sheet's matrix."""
    relative_error: float
    """Frobenius norm of Monte Carlo - closed form, over that of the closed form."""
    sheet_relative_error: float
    """The same against the sheet's matrix."""
    dropout_weights: list[float]
    """p times the exact minimiser under dropout, from all 2^d masks of every row."""
    ridge_weights: list[float]
    """Minimiser of |y - Xw|^2 + |Gamma w|^2, Gamma = sqrt((1-p)/p) times the column norms."""
    changed_variables_weights: list[float]
    """The same from the standard ridge on X~ = sqrt(lambda) X Gamma^-1, turned back into w."""
    monte_carlo_weights: list[float]
    """p times the minimiser with the Monte Carlo mean in place of the exact one."""
    sheet_weights: list[float]
    """p times the minimiser with the sheet's matrix in place of the exact one."""
    largest_weight_difference: float
    """Largest |dropout_weights - ridge_weights|, over the largest weight."""
    largest_change_difference: float
    """Largest |changed_variables_weights - ridge_weights|, over the largest weight."""
    sheet_largest_weight_difference: float
    """Largest |sheet_weights - ridge_weights|, over the largest weight."""
    column_norms: list[float]
    """Euclidean norms of the columns of X."""
    changed_column_norms: list[float]
    """Euclidean norms of the columns of X~."""
    predicted_column_norm: float
    """sqrt(lambda p/(1-p)), the same for every column."""
    sheet_column_norms: list[float]
    """Norms of the columns of X~ if Gamma_jj is the sum of squares without its root."""
    sheet_left_product_error: str | None
    """Why the sheet's Gamma^-1 X does not exist; null where n = d and it does, yet scales rows."""
    dropout_prediction_change: float
    """Largest change of a prediction under dropout's ridge when one column's unit changes by 1000, over the largest."""
    plain_ridge_prediction_change: float
    """The same under the plain ridge lambda |w|^2."""
    path: Path
    """Solutions over the keep probability."""
    path_largest_difference: float
    """Largest difference between the two solutions on the path, over the largest weight."""


EXPERIMENT = Experiment(
    slug="dropout-ridge",
    title="Dropout on the inputs is a ridge on normalised columns",
    summary=(
        "Checks the expected Gram matrix of masked inputs by Monte Carlo, the identity of dropout and Tikhonov "
        "solutions exactly, and that the change of variables gives every column the same norm."
    ),
    spec=DropoutRidgeSpec,
    result=DropoutRidgeResult,
    run="homework.experiments.dropout_ridge.run:run",
    figures="homework.experiments.dropout_ridge.figures:draw",
    metrics=(
        Metric("error", direction="min", description="Relative Frobenius error of the Monte Carlo mean"),
        Metric("standard_error", description="The error expected by chance after this many masks"),
    ),
    gpu=GpuUse.NONE,
    default_time_limit_seconds=600,
)
