"""Parameters and result of `dropout-linear`."""

from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from experiments.contract import Experiment, GpuUse, Metric, Result, Spec

MAX_ROWS = 64
MAX_COLUMNS = 16
MAX_INPUTS_PER_STEP = 2**22
MAX_INPUTS = 10**10

Number = Annotated[float, Field(ge=-1e6, le=1e6)]
Row = Annotated[tuple[Number, ...], Field(min_length=1, max_length=MAX_COLUMNS)]


class DropoutLinearSpec(Spec):
    """A least-squares problem with randomly dropped inputs. The defaults are the single data point of the homework."""

    method: Literal["closed_form", "gradient"] = "gradient"
    """`closed_form` solves the expected normal equations. `gradient` starts at zero weights and draws masks."""
    x: Annotated[tuple[Row, ...], Field(min_length=1, max_length=MAX_ROWS)] = ((10.0, 1.0),)
    """The inputs: one list of numbers for each row, all of the same length."""
    y: Annotated[tuple[Number, ...], Field(min_length=1, max_length=MAX_ROWS)] = (11.0,)
    """The targets, one number for each row of `x`."""
    bias: bool = False
    """Whether the model has a bias; the bias is never dropped."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """The probability of dropping an input; a kept input is scaled by 1/(1 - dropout)."""
    optimizer: Literal["sgd", "adam"] = "sgd"
    """The optimizer: plain SGD, or Adam with betas 0.9 and 0.999. `closed_form` ignores it."""
    learning_rate: float = Field(default=1e-3, gt=0, le=10)
    """The learning rate. `closed_form` ignores it."""
    iterations: int = Field(default=1000, ge=1, le=100_000)
    """The number of optimizer steps. `closed_form` ignores it."""
    batch_size: int = Field(default=1, ge=1, le=65_536)
    """Independent masks for each row at each step. A step averages rows x batch_size terms."""

    @field_validator("x")
    @classmethod
    def _rows_are_equally_long(cls, x: tuple[Row, ...]) -> tuple[Row, ...]:
        lengths = sorted({len(row) for row in x})
        if len(lengths) > 1:
            raise ValueError(f"every row needs the same number of values; found rows of {lengths[0]} and {lengths[-1]}")
        return x

    @field_validator("y")
    @classmethod
    def _one_target_a_row(cls, y: tuple[float, ...], info: ValidationInfo) -> tuple[float, ...]:
        rows = len(info.data.get("x", y))
        if len(y) != rows:
            raise ValueError(f"one value for each row of x: x has {rows} rows, y has {len(y)} values")
        return y

    @model_validator(mode="after")
    def _affordable(self) -> Self:
        a_step = self.batch_size * len(self.x) * len(self.x[0])
        if a_step > MAX_INPUTS_PER_STEP:
            raise ValueError(f"batch_size x rows x columns may be at most {MAX_INPUTS_PER_STEP:,}; it is {a_step:,}")
        total = a_step * self.iterations
        if total > MAX_INPUTS:
            raise ValueError(f"iterations x batch_size x rows x columns may be at most {MAX_INPUTS:,}; it is {total:,}")
        return self


class Curve(Result):
    """The iteration, thinned out: the first 100 steps all, later ones evenly."""

    steps: list[int]
    """Optimizer steps done before each reading."""
    loss: list[float]
    """Mean squared error of the batch drawn at that step, with dropout, before the update."""
    weights: list[list[float]]
    """The weights before the update, one list a reading."""


class DropoutLinearResult(Result):
    """The weights found, what they predict, and the exact solution beside them."""

    weights: list[float]
    """The weights found: the closed form, or those after the last step."""
    bias: float | None
    """The bias found; null for a model without one."""
    closed_form_weights: list[float]
    """The minimiser of the expected dropout loss; the one of least norm where there are many."""
    closed_form_bias: float | None
    """The bias that belongs to `closed_form_weights`; null for a model without one."""
    contributions: list[float]
    """Weight times input for every column, averaged over the rows; with the bias they add up to the prediction."""
    clean_prediction: list[float]
    """The prediction for every row with dropout switched off."""
    clean_loss: float
    """Mean squared error with dropout switched off."""
    train_loss: float
    """Mean squared error with dropout, its exact expectation over the masks at `weights`."""
    closed_form_clean_loss: float
    """`clean_loss` at the closed form."""
    closed_form_train_loss: float
    """`train_loss` at the closed form: no weights can go lower."""
    last_batch_loss: float | None
    """Loss of the last batch drawn; null for `closed_form`."""
    late_loss_mean: float | None
    """Mean of the batch losses over the second half of the steps; null for `closed_form`."""
    late_loss_sd: float | None
    """Standard deviation of the batch losses over the second half of the steps; null for `closed_form`."""
    hessian_eigenvalues: list[float]
    """Eigenvalues of the Hessian of the expected loss, largest first (a bias adds one)."""
    time_constants_steps: list[float | None] | None
    """Steps in which SGD shrinks the error along each eigenvector e-fold, 1/(learning_rate x eigenvalue); null in place
    of an infinite one, null as a whole where SGD does not run."""
    expected_weights: list[float] | None
    """Exact mean of the weights over all draws of the masks after this many SGD steps; null where SGD does not run, and
    where it overflows."""
    expected_weights_sd: list[float] | None
    """Exact standard deviation of the weights over all draws; null where SGD does not run, for more than 8 columns, and
    where it overflows."""
    curve: Curve | None
    """The iteration; null for `closed_form`."""
    explanation: list[str]
    """What the numbers say, in sentences."""


EXPERIMENT = Experiment(
    slug="dropout-linear",
    title="Dropout on the inputs of a linear model",
    summary=(
        "Least squares with inverted dropout on the inputs, solved exactly and by SGD or Adam: dropout taxes "
        "contributions, so the solution splits the prediction evenly between a large and a small feature."
    ),
    spec=DropoutLinearSpec,
    result=DropoutLinearResult,
    run="homework.experiments.dropout_linear.run:run",
    figures="homework.experiments.dropout_linear.figures:draw",
    metrics=(
        Metric("loss", direction="min", description="Mean squared error of the step's batch, with dropout"),
        *(Metric(f"w{j}", description=f"Weight of column {j}") for j in range(1, MAX_COLUMNS + 1)),
        Metric("bias", description="The bias, for a model with one"),
    ),
    gpu=GpuUse.NONE,
    default_time_limit_seconds=600,
)
