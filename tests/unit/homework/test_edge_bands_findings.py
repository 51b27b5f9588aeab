"""What edge-bands is for: the patterns over several seeds, with intervals wide enough to hold on another processor."""

import math
import statistics
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.hosting.run_directory import RunDirectory
from homework.experiments.edge_bands.run import run
from homework.experiments.edge_bands.spec import EdgeBandsResult, EdgeBandsSpec

CHANCE = 1 / 3
HORIZONTAL, VERTICAL, NONE = range(3)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def found(folder: Path, **values: object) -> EdgeBandsResult:
    directory = RunDirectory(folder / str(len(list(folder.iterdir()))))
    try:
        return run(EdgeBandsSpec.model_validate({"curve_points": 1, **values}), directory)
    finally:
        directory.close()


def accuracies(result: EdgeBandsResult) -> list[float]:
    return [replica.validation_accuracy for replica in result.replicas]


def recall(result: EdgeBandsResult) -> np.ndarray:
    """Share of each true class told right, all replicas together."""
    counts = np.array([replica.confusion for replica in result.replicas]).sum(0)
    shares: np.ndarray = counts.diagonal() / counts.sum(1)
    return shares


def test_fixed_edge_detectors_beat_a_trained_cnn_with_ten_images_and_thirty_epochs(tmp_path: Path) -> None:
    fixed = found(tmp_path, model="edge_frozen", epochs=30, replicas=8)
    trained = found(tmp_path, model="cnn", epochs=30, replicas=8)
    assert min(accuracies(fixed)) > 0.85
    assert fixed.validation_accuracy_mean > trained.validation_accuracy_mean + 0.3


def test_fixed_edge_detectors_gain_little_from_ten_times_the_images(tmp_path: Path) -> None:
    few, many = (found(tmp_path, model="edge_frozen", images_per_class=n, epochs=30, replicas=8) for n in (10, 100))
    assert abs(many.validation_accuracy_mean - few.validation_accuracy_mean) < 0.05


def test_dense_network_does_as_well_on_permuted_pixels(tmp_path: Path) -> None:
    """The means of 16 seeds differ by less than four standard errors, one of them being below three per cent."""
    plain, permuted = (
        accuracies(found(tmp_path, model="mlp", images_per_class=30, epochs=40, replicas=16, permute_pixels=permute))
        for permute in (False, True)
    )
    standard_error = math.sqrt((statistics.variance(plain) + statistics.variance(permuted)) / 16)
    assert standard_error < 0.03
    assert abs(statistics.fmean(plain) - statistics.fmean(permuted)) < 4 * standard_error


@pytest.mark.slow
def test_cnn_on_permuted_pixels_tells_bands_from_none_and_guesses_their_direction(tmp_path: Path) -> None:
    result = found(tmp_path, images_per_class=10, epochs=300, replicas=8, permute_pixels=True)
    assert 0.55 < result.validation_accuracy_mean < 0.75
    assert recall(result)[NONE] > 0.8
    assert recall(result)[[HORIZONTAL, VERTICAL]].mean() < 0.65


def test_dense_network_calls_shifted_bands_by_the_other_direction(tmp_path: Path) -> None:
    result = found(tmp_path, model="mlp", images_per_class=30, epochs=200, replicas=8, domain_shift=True)
    assert result.train_accuracy_mean > 0.95
    assert (recall(result)[[HORIZONTAL, VERTICAL]] < CHANCE / 2).all()
    counts = np.array([replica.confusion for replica in result.replicas]).sum(0)
    assert counts[HORIZONTAL, VERTICAL] > counts[HORIZONTAL, HORIZONTAL]
    assert counts[VERTICAL, HORIZONTAL] > counts[VERTICAL, VERTICAL]


@pytest.mark.slow
def test_cnn_carries_over_to_shifted_bands(tmp_path: Path) -> None:
    result = found(tmp_path, images_per_class=30, epochs=200, replicas=5, domain_shift=True)
    assert statistics.median(accuracies(result)) > 0.75
    assert recall(result)[[HORIZONTAL, VERTICAL]].mean() > 2 * CHANCE
