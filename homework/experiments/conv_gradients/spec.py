"""Parameters and result of `conv-gradients`."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from experiments.contract import Experiment, GpuUse, Metric, Result, Spec

GROUPS = 20
MAX_DRAWN_PIXELS = 2 * 10**9

Matrix = list[list[float]]


class ConvGradientsSpec(Spec):
    """One image and kernel for the exact checks, and several image sizes for the growth of the gradient."""

    image_side: int = Field(default=8, ge=2, le=32)
    """Side n of the image in the exact checks and the training steps, pixels."""
    kernel_side: int = Field(default=3, ge=1, le=11)
    """Side k of the square kernel, pixels; no padding, stride 1."""
    steps: int = Field(default=20, ge=1, le=1000)
    """SGD steps, each on a new image, for the sum of patches."""
    learning_rate: float = Field(default=0.01, gt=0, le=1)
    """Step size of SGD."""
    sides: Annotated[tuple[int, ...], Field(min_length=3, max_length=8)] = (8, 16, 32, 64)
    """Image sides n at which the variance of the gradient is measured, in pixels, in increasing order."""
    repeats: int = Field(default=2000, ge=10 * GROUPS, le=100_000)
    """Draws of image and upstream gradient for each side. They form 20 groups; the spread of these gives the
    intervals."""
    distribution: Literal["uniform", "normal"] = "uniform"
    """Distribution of pixels and upstream gradients, both with mean 0."""
    input_sd: float = Field(default=1.5, gt=0, le=1e3)
    """Standard deviation of a pixel."""
    upstream_sd: float = Field(default=0.5, gt=0, le=1e3)
    """Standard deviation of an upstream gradient."""
    shared_variance: float = Field(default=0.0, ge=0, le=1)
    """Share of both variances that is common to all positions of an image. 0: independent pixels (the question)."""

    @model_validator(mode="after")
    def _kernel_fits(self) -> Self:
        smallest = min(self.image_side, *self.sides)
        if self.kernel_side > smallest:
            raise ValueError(f"kernel_side may be at most the smallest side, {smallest}; it is {self.kernel_side}")
        outputs = [side - self.kernel_side + 1 for side in self.sides]
        if outputs != sorted(set(outputs)) or self.sides[-1] > 512:
            raise ValueError(f"sides must grow and end at 512 or below; they are {list(self.sides)}")
        drawn = self.repeats * sum(side**2 for side in self.sides)
        if drawn > MAX_DRAWN_PIXELS:
            raise ValueError(f"repeats x squared sides may be at most {MAX_DRAWN_PIXELS:,} in all; it is {drawn:,}")
        return self


class Growth(Result):
    """The variance of one weight's gradient at one image side."""

    side: int
    """Side n of the image, pixels."""
    output_side: int
    """Side m = n - k + 1 of the output, pixels."""
    variance: float
    """Measured variance of an entry of dw, over all repeats and the k^2 entries."""
    variance_low: float
    """Lower end of its 99 % interval over the groups."""
    variance_high: float
    """Upper end of its 99 % interval over the groups."""
    closed_form: float
    """m^2 sx^2 sg^2 (1 + (m^2 - 1) s^2), s the shared variance."""
    sheet: float
    """The sheet's m sx^2 sg^2."""
    mean_deviation: float
    """Largest |mean of an entry of dw|, in standard errors; the expectation is 0."""


class ConvGradientsResult(Result):
    """The gradient of a kernel computed three ways, as a sum of patches, and its growth."""

    image: Matrix
    """The image X of the exact check, n x n."""
    upstream: Matrix
    """Its upstream gradient dY, m x m."""
    weight_gradient: Matrix
    """dw by automatic differentiation, k x k."""
    correlation_gradient: Matrix
    """dw as the valid cross-correlation of X with dY."""
    correlation_difference: float
    """Largest difference of the two, over the largest entry."""
    finite_difference_error: float
    """Largest difference of dw from central finite differences of the loss, over the largest entry."""
    flipped_difference: float
    """Largest difference of dw from the same with flipped indices, over the largest entry."""
    bias_gradient: float
    """db by automatic differentiation."""
    upstream_sum: float
    """The sum of dY, which db equals."""
    bias_finite_difference_error: float
    """Difference of db from a central finite difference of the loss, over |db|."""
    sheet_bias_gradient: float
    """The sheet's db: 0."""
    weight_change: Matrix
    """w after the SGD steps minus w before, k x k."""
    patch_sum: Matrix
    """-learning_rate times the sum over steps and positions of dy times the image patch under it."""
    patch_difference: float
    """Largest difference of the two, over the largest entry."""
    patches: int
    """Patches in the sum: steps x m^2."""
    negative_share: float
    """Share of negative coefficients -learning_rate dy: the sum is no average."""
    coefficient_sum: float
    """Sum of the coefficients: an average would have 1."""
    growth: list[Growth]
    """The variance of dw at each side."""
    exponent: float
    """Slope of log sd of dw on log m, mean over the groups."""
    exponent_low: float
    """Lower end of its 99 % interval over the groups."""
    exponent_high: float
    """Upper end of its 99 % interval over the groups."""
    closed_form_exponent: float
    """The same slope for the closed form: 1 where positions are independent."""
    sheet_exponent: float
    """The same slope for the sheet's formula: 1/2."""


EXPERIMENT = Experiment(
    slug="conv-gradients",
    title="The gradient of a convolution's weights",
    summary=(
        "dw is the cross-correlation of the image with the upstream gradient, a weighted sum of patches; its standard "
        "deviation grows with the side of the output."
    ),
    spec=ConvGradientsSpec,
    result=ConvGradientsResult,
    run="homework.experiments.conv_gradients.run:run",
    figures="homework.experiments.conv_gradients.figures:draw",
    metrics=(
        Metric("variance", description="Measured variance of an entry of dw; the step is the image side"),
        Metric("closed_form_variance", description="The closed form of that variance"),
        Metric("sheet_variance", description="The sheet's formula of that variance"),
    ),
    gpu=GpuUse.NONE,
    default_time_limit_seconds=600,
)
