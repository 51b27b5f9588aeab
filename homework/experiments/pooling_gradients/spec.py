"""Parameters and result of `pooling-gradients`."""

from typing import Literal, Self

from pydantic import Field, model_validator

from experiments.contract import Experiment, GpuUse, Metric, Result, Spec

MAX_BAND_PIXELS = 2**23

Matrix = list[list[float]]
Kind = Literal["max", "average"]


class PoolingGradientsSpec(Spec):
    """A random image for the gradients, and noisy images with one bright band for the responses."""

    image_side: int = Field(default=8, ge=2, le=32)
    """Side of the image for the gradients, in pixels; a multiple of 2^levels."""
    levels: int = Field(default=2, ge=1, le=4)
    """Number of pooling layers L, each 2 x 2 with stride 2. The result has every number from 1 to L."""
    band_side: int = Field(default=28, ge=4, le=64)
    """Side of the images with a band, in pixels; a multiple of 2^levels."""
    band_width: int = Field(default=1, ge=1, le=16)
    """Height of the bright horizontal band, in pixels."""
    band_height: float = Field(default=0.5, gt=0, le=1e3)
    """Brightness of the band above the background."""
    noise_sd: float = Field(default=0.2, gt=0, le=1e3)
    """Standard deviation of the normal noise on every pixel, in the unit of `band_height`."""
    images: int = Field(default=500, ge=10, le=20_000)
    """Number of noisy images. Each has the band at a random row."""

    @model_validator(mode="after")
    def _sides_can_be_halved_and_images_held(self) -> Self:
        block = 2**self.levels
        for name in ("image_side", "band_side"):
            if (side := getattr(self, name)) % block:
                raise ValueError(f"{name} must be a multiple of 2^levels = {block}; it is {side}")
        pixels = self.images * self.band_side**2
        if pixels > MAX_BAND_PIXELS:
            raise ValueError(f"images x band_side^2 may be at most {MAX_BAND_PIXELS:,}; it is {pixels:,}")
        widest = self.band_side - 2 * block + 1
        if self.band_width > widest:
            raise ValueError(
                f"band_width may be at most band_side - 2 x 2^levels + 1 = {widest}, so that a row of "
                f"background is left; it is {self.band_width}"
            )
        return self


class Backward(Result):
    """What comes back through a number of pooling layers of one kind."""

    kind: Kind
    """Which pooling."""
    levels: int
    """Layers the gradient passed."""
    gradient: Matrix
    """dX by automatic differentiation, the side of the image squared."""
    formula_difference: float
    """Largest difference of dX from the written-out index formula, over the largest entry."""
    nonzeros: int
    """Entries of dX that are not zero."""
    fewest_nonzeros_in_block: int
    """Fewest of them in one 2^L x 2^L block."""
    most_nonzeros_in_block: int
    """Most of them in one block."""
    sum_ratio: float
    """Sum of dX over the sum of dY."""
    norm_ratio: float
    """Squared Euclidean norm of dX over that of dY."""
    predicted_norm_ratio: float
    """1 for max, 1/4^L for average."""


class Response(Result):
    """What a number of pooling layers of one kind keeps of a band, a spike and noise."""

    kind: Kind
    """Which pooling."""
    levels: int
    """Layers passed."""
    band_kept: float
    """Brightest pooled row over the band's height, without noise, mean over all positions of the band."""
    band_kept_least: float
    """The same at the worst position."""
    spike_kept: float
    """Largest response to a single bright pixel, over its height."""
    contrast: float
    """With noise: mean of the band's pooled row minus mean of the pooled background, mean over the images."""
    contrast_standard_error: float
    """Standard error of `contrast` over the images."""
    noise_sd: float
    """Standard deviation of the pooled background cells."""
    contrast_to_noise: float
    """`contrast` over `noise_sd`."""


class PoolingGradientsResult(Result):
    """Gradients and responses of both poolings for 1 to L layers."""

    upstreams: list[Matrix]
    """dY for each number of layers, (n / 2^L) x (n / 2^L)."""
    backward: list[Backward]
    """One entry for each kind and number of layers."""
    tie_shares_max_pool: list[float]
    """Shares of the gradient for the four equal pixels of a window, row by row, by the framework's max pooling."""
    tie_shares_amax: list[float]
    """The same by the framework's maximum over an axis, another valid subgradient."""
    responses: list[Response]
    """One entry for each kind and number of layers."""
    noisy_image: Matrix
    """The first of the noisy images."""
    pooled_max: Matrix
    """That image after L layers of max pooling."""
    pooled_average: Matrix
    """That image after L layers of average pooling."""
    largest_formula_difference: float
    """Largest `formula_difference` of all."""
    largest_sum_deviation: float
    """Largest |sum_ratio - 1| of all."""
    largest_norm_deviation: float
    """Largest |norm_ratio / predicted_norm_ratio - 1| of all."""


EXPERIMENT = Experiment(
    slug="pooling-gradients",
    title="Max against average pooling: gradients and responses",
    summary=(
        "Max pooling sends each whole gradient to one pixel and keeps the brightness of a thin band. Average pooling "
        "spreads the gradient over the block, weakens the band and reduces noise."
    ),
    spec=PoolingGradientsSpec,
    result=PoolingGradientsResult,
    run="homework.experiments.pooling_gradients.run:run",
    figures="homework.experiments.pooling_gradients.figures:draw",
    metrics=tuple(
        Metric(f"{kind}/{name}", description=f"{text}, {kind} pooling; the step counts layers")
        for kind in ("max", "average")
        for name, text in (
            ("norm_ratio", "Squared norm of dX over that of dY"),
            ("nonzeros", "Non-zero entries of dX"),
            ("contrast", "Contrast of a band after pooling, with noise"),
            ("contrast_to_noise", "That contrast over the pooled noise"),
        )
    ),
    gpu=GpuUse.NONE,
    default_time_limit_seconds=600,
)
