"""The images of edge-bands: what each class looks like, how often a band is blank, and what the seeds fix."""

import math

import numpy as np
import pytest
from pydantic import ValidationError

from homework.experiments.edge_bands.data import draw_images, rotate
from homework.experiments.edge_bands.spec import CLASS_NAMES, EdgeBandsSpec

STANDARD_ERRORS = 4
"""Width of the intervals; with the fixed seeds used here a test either always passes or always fails."""


def of_class(spec: EdgeBandsSpec, name: str, *, seed: int = 0, split: str = "train") -> np.ndarray:
    images = draw_images(spec, seed, split)
    return images.pixels[images.labels == CLASS_NAMES.index(name)].astype(int)


def lines(images: np.ndarray, name: str) -> np.ndarray:
    """One line across the band of each image, (n, 28)."""
    return images[:, :, 0] if name == "horizontal" else images[:, 0, :]


def band(line: np.ndarray, background: int) -> np.ndarray:
    return np.flatnonzero(line != background)


def background_of(image: np.ndarray) -> int:
    """A band covers at most 4 of 28 rows, so most pixels are background."""
    return int(np.bincount(image.ravel()).argmax())


@pytest.mark.parametrize("name", ["horizontal", "vertical"])
def test_exact_band_is_one_constant_run_of_width_1_to_4_on_a_constant_background(name: str) -> None:
    images = of_class(EdgeBandsSpec(images_per_class=500), name)
    along = 2 if name == "horizontal" else 1
    assert (images == np.take(images, [0], axis=along)).all()
    widths = []
    for line, image in zip(lines(images, name), images, strict=True):
        background = background_of(image)
        inside = band(line, background)
        assert background <= 51  # 0.2 as 8 bits
        assert len(set(line[inside])) == 1
        assert line[inside[0]] >= 64  # 0.25 as 8 bits
        assert inside[-1] - inside[0] + 1 == len(inside)
        widths.append(len(inside))
    assert set(widths) == {1, 2, 3, 4}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_exact_statistics_are_those_of_the_definition(seed: int) -> None:
    n = 1000
    images = of_class(EdgeBandsSpec(images_per_class=n), "horizontal", seed=seed)
    backgrounds = np.array([background_of(image) for image in images])
    runs = [band(line, ground) for line, ground in zip(lines(images, "horizontal"), backgrounds, strict=True)]
    values = np.array([line[run[0]] for line, run in zip(lines(images, "horizontal"), runs, strict=True)])

    def assert_mean(drawn: np.ndarray, mean: float, sd: float) -> None:
        assert abs(drawn.mean() - mean) < STANDARD_ERRORS * sd / math.sqrt(n)

    assert_mean(backgrounds / 255, 0.1, 0.2 / math.sqrt(12))
    assert_mean(values / 255, 0.625, 0.75 / math.sqrt(12))
    assert_mean(np.array([len(run) for run in runs]), 2.5, math.sqrt(1.25))
    assert_mean(np.array([(run[0] + run[-1]) / 2 for run in runs]), 13.5, 7.8)


def test_exact_bands_reach_the_first_and_the_last_row() -> None:
    images = of_class(EdgeBandsSpec(images_per_class=1000), "horizontal")
    touched = [
        band(line, background_of(image)) for line, image in zip(lines(images, "horizontal"), images, strict=True)
    ]
    assert {0, 27} <= set(np.concatenate(touched))


def test_no_exact_image_is_blank() -> None:
    for shift in (False, True):
        spec = EdgeBandsSpec(images_per_class=500, domain_shift=shift)
        assert draw_images(spec, 0, "train").blank_share == 0
        assert spec.bayes_limit == 1


def test_none_images_are_constant() -> None:
    images = of_class(EdgeBandsSpec(images_per_class=100), "none")
    assert (images == images[:, :1, :1]).all()


@pytest.mark.parametrize(
    ("shift", "split", "rate"),
    [(False, "train", 1 / 27), (False, "validation", 1 / 27), (True, "train", 1 / 13), (True, "validation", 1 / 14)],
)
def test_original_geometry_leaves_bands_blank_at_the_rate_of_its_slip(shift: bool, split: str, rate: float) -> None:
    spec = EdgeBandsSpec(
        geometry="original", domain_shift=shift, images_per_class=1000, validation_images_per_class=1000
    )
    shares = []
    for seed in range(5):
        images = draw_images(spec, seed, split)
        edges = images.labels != CLASS_NAMES.index("none")
        constant = (images.pixels == images.pixels[:, :1, :1]).all((1, 2))
        assert (constant[edges] == images.blank[edges]).all()
        shares.append(images.blank_share)
    standard_error = math.sqrt(rate * (1 - rate) / 10_000)
    assert abs(np.mean(shares) - rate) < STANDARD_ERRORS * standard_error


def test_original_bands_never_touch_the_first_or_the_last_row() -> None:
    images = of_class(EdgeBandsSpec(geometry="original", images_per_class=1000), "horizontal")
    for line, image in zip(lines(images, "horizontal"), images, strict=True):
        assert not {0, 27} & set(band(line, background_of(image)))


def test_bayes_limit_counts_blank_images_as_lost() -> None:
    original = EdgeBandsSpec(geometry="original")
    shifted = EdgeBandsSpec(geometry="original", domain_shift=True)
    assert original.bayes_limit == pytest.approx(0.9753, abs=1e-4)
    assert shifted.bayes_limit == pytest.approx(0.9524, abs=1e-4)


@pytest.mark.parametrize("geometry", ["exact", "original"])
@pytest.mark.parametrize("name", ["horizontal", "vertical"])
def test_domain_shift_keeps_bands_in_their_half(geometry: str, name: str) -> None:
    spec = EdgeBandsSpec(geometry=geometry, domain_shift=True, images_per_class=300, validation_images_per_class=300)
    for split, half in (("train", range(14)), ("validation", range(14, 28))):
        images = of_class(spec, name, split=split)
        for line, image in zip(lines(images, name), images, strict=True):
            assert set(band(line, background_of(image))) <= set(half)


def test_diagonal_bands_are_neither_rows_nor_columns() -> None:
    images = of_class(EdgeBandsSpec(classes=5, images_per_class=200), "diagonal")
    assert not (images == images[:, :1, :]).all((1, 2)).any()
    assert not (images == images[:, :, :1]).all((1, 2)).any()


def test_both_shows_a_row_and_a_column() -> None:
    for image in of_class(EdgeBandsSpec(classes=5, images_per_class=200), "both"):
        different = image != background_of(image)
        assert different.all(axis=1).any()
        assert different.all(axis=0).any()


def test_rotation_by_a_right_angle_is_exact() -> None:
    image = np.random.default_rng(0).random((28, 28))
    turned = rotate(image, 90)
    assert np.allclose(turned, np.rot90(image)) or np.allclose(turned, np.rot90(image, -1))


def test_permutation_is_the_same_for_every_image_of_a_seed_and_loses_nothing() -> None:
    spec = EdgeBandsSpec()
    shuffled = spec.model_copy(update={"permute_pixels": True})
    for split in ("train", "validation"):
        plain, permuted = (draw_images(one, 3, split).pixels.reshape(-1, 784) for one in (spec, shuffled))
        assert (np.sort(plain) == np.sort(permuted)).all()
    columns = {tuple(column) for column in draw_images(spec, 3, "train").pixels.reshape(-1, 784).T}
    assert columns == {tuple(column) for column in draw_images(shuffled, 3, "train").pixels.reshape(-1, 784).T}
    assert (draw_images(spec, 3, "train").pixels != draw_images(shuffled, 3, "train").pixels).any()


def test_smaller_training_set_is_a_part_of_a_larger_one() -> None:
    small, large = EdgeBandsSpec(images_per_class=10), EdgeBandsSpec(images_per_class=30)
    for name in ("horizontal", "vertical", "none"):
        assert (of_class(small, name) == of_class(large, name)[:10]).all()


def test_training_and_validation_images_are_drawn_apart() -> None:
    spec = EdgeBandsSpec(images_per_class=50)
    train, validation = (draw_images(spec, 0, split).pixels for split in ("train", "validation"))
    assert not (train == validation).all((1, 2)).any()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kernel_size": 8}, "kernel_size must be odd"),
        ({"kernel_size": 29}, "less than or equal to 27"),
        ({"domain_shift": True, "classes": 5}, "domain_shift is defined for classes = 3: got 5"),
        ({"replicas": 32, "batch_size": 256}, "at most 2048: got 8192"),
        ({"replicas": 32, "images_per_class": 1000}, "at most 50000: got 100800"),
        ({"layers": 3}, "Extra inputs are not permitted"),
        ({"learning_rate": float("nan")}, "finite"),
    ],
)
def test_bad_spec_is_refused_with_field_limit_and_value(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        EdgeBandsSpec.model_validate(values)
