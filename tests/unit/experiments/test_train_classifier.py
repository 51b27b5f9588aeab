"""`train-classifier`: schedules, augmentation, accumulation, early stopping, and exact resumption with all of it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure
from pydantic import ValidationError

from experiments.catalog.train_classifier import figures
from experiments.catalog.train_classifier import run as module
from experiments.catalog.train_classifier.spec import EXPERIMENT, TrainClassifierResult, TrainClassifierSpec
from experiments.contract import Stopped
from experiments.datasets.loading import Images
from experiments.hosting.run_directory import RunDirectory
from experiments.training.augment import crop, flip
from experiments.training.fit import Fit, Standardize
from experiments.training.recipe import Recipe

EXPECTED = json.loads((Path(module.__file__).parent / "expected.json").read_text())
TINY: dict[str, Any] = {"model": "shufflenet_v2_x0_5", "images": 40, "validation_images": 30, "image_size": 16}
TINY |= {"batch_size": 8, "epochs": 2}
CLOCKS = {"timestamp", "host_rss_bytes", "images_per_second", "train_seconds", "epoch_seconds", "elapsed_seconds"}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny tensors gain nothing from a second thread, and recorded values belong to one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


class StopsAfter(RunDirectory):
    """Asks its run to stop once it has looked `looks` times."""

    looks = 0

    def should_stop(self) -> bool:
        self.looks -= 1
        return self.looks < 0


def execute(folder: Path, cache: Path, **fields: object) -> TrainClassifierResult:
    run = RunDirectory(folder, cache_folder=cache)
    result = module.run(TrainClassifierSpec.model_validate({**TINY, **fields}), run)
    run.close()
    return result


def untimed(result: TrainClassifierResult) -> dict[str, Any]:
    values = result.model_dump(exclude={"images_per_second"})
    values["rows"] = [{name: value for name, value in row.items() if name not in CLOCKS} for row in values["rows"]]
    return values


def recipe(**fields: Any) -> Recipe:
    base: dict[str, Any] = {"model": "resnet18", "image_size": 32, "batch_size": 8, "epochs": 4}
    return Recipe(**{**base, "optimizer": "sgd", "learning_rate": 0.1, **fields})


def pictures(count: int) -> Images:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (count, 1, 8, 8), generator=generator, dtype=torch.uint8)
    return Images(pixels, torch.arange(count) % 2)


def test_the_cosine_goes_from_the_rate_after_the_warm_up_to_zero() -> None:
    rates = [recipe(schedule="cosine", warmup_epochs=1).learning_rate_at(step, 10) for step in range(40)]
    assert rates[:10] == pytest.approx([0.01 * (step + 1) for step in range(10)])
    assert rates[10] == pytest.approx(0.1)
    assert rates[25] == pytest.approx(0.05)
    assert 0 < rates[39] < 5e-4


def test_the_step_schedule_multiplies_every_few_epochs_and_constant_does_not() -> None:
    stepped = recipe(schedule="step", step_epochs=2, step_factor=0.5)
    assert [stepped.learning_rate_at(step, 3) for step in (0, 5, 6, 11)] == pytest.approx([0.1, 0.1, 0.05, 0.05])
    assert {recipe().learning_rate_at(step, 3) for step in range(12)} == {0.1}


def test_flip_mirrors_about_half_of_the_pictures_and_leaves_the_others() -> None:
    x = torch.arange(6.0).reshape(1, 1, 2, 3).repeat(1000, 1, 1, 1)
    flipped = flip(x, torch.Generator().manual_seed(0))
    mirrored = (flipped == x.flip(-1)).all(-1).all(-1).all(-1)
    assert 0.4 < mirrored.double().mean() < 0.6
    assert torch.equal(flipped[~mirrored], x[~mirrored])


def test_crop_shifts_by_up_to_the_padding_each_way_and_fills_with_zero() -> None:
    x = torch.zeros(2000, 1, 5, 7)
    x[:, :, 2, 3] = 1
    shifted = crop(x, 2, torch.Generator().manual_seed(0))
    assert shifted.shape == x.shape
    assert torch.equal(shifted.sum((1, 2, 3)), torch.ones(2000))
    places = {tuple(place) for place in shifted.nonzero()[:, 2:].tolist()}
    assert places == {(row, column) for row in range(5) for column in range(1, 6)}


def test_standardised_training_pictures_have_mean_0_and_deviation_1() -> None:
    images = pictures(500)
    x = Standardize(images)(images.pixels.float().expand(-1, 3, -1, -1) / 255)
    assert x.mean((0, 2, 3)).tolist() == pytest.approx([0, 0, 0], abs=1e-4)
    assert x.std((0, 2, 3)).tolist() == pytest.approx([1, 1, 1], abs=1e-3)


def test_accumulated_gradients_are_those_of_the_whole_batch(tmp_path: Path) -> None:
    """SqueezeNet has no batch norm, so the only difference is the order of additions; its dropout is switched off."""
    after: list[list[torch.Tensor]] = []
    for batch_size, steps in ((12, 1), (4, 3), (5, 3)):
        chosen = recipe(model="squeezenet1_1", batch_size=batch_size, gradient_accumulation_steps=steps, epochs=1)
        fit = Fit(chosen, 2, pictures(12), pictures(4), RunDirectory(tmp_path / str(batch_size)))
        fit.model.classifier[0].p = 0.0  # type: ignore[union-attr, index]
        fit.run()
        assert fit.steps_per_epoch == 1
        after.append([parameter.detach() for parameter in fit.model.parameters()])
    for pieces in after[1:]:
        for whole, piece in zip(after[0], pieces, strict=True):
            assert torch.allclose(whole, piece, atol=1e-6)


@pytest.mark.parametrize("looks", [3, 6, 9])
def test_a_stopped_run_with_every_option_goes_on_to_the_same_bits(tmp_path: Path, cache: Path, looks: int) -> None:
    options: dict[str, Any] = {
        "optimizer": "adamw",
        "weight_decay": 0.05,
        "schedule": "cosine",
        "warmup_epochs": 0.5,
        "flip": True,
        "crop_padding": 1,
        "label_smoothing": 0.1,
        "precision": "bfloat16",
        "gradient_accumulation_steps": 2,
        "batch_size": 5,
        "training_accuracy": True,
        "model": "mobilenet_v3_small",
    }
    whole = execute(tmp_path / "whole", cache, **options)
    stopped = StopsAfter(tmp_path / "resumed", cache_folder=cache)
    stopped.looks = looks
    with pytest.raises(Stopped):
        module.run(TrainClassifierSpec.model_validate({**TINY, **options}), stopped)
    assert untimed(execute(tmp_path / "resumed", cache, **options)) == untimed(whole)
    weights = [torch.load(tmp_path / name / "artifacts/weights.pt") for name in ("whole", "resumed")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_patience_ends_the_run_and_the_best_epoch_is_kept(tmp_path: Path, cache: Path) -> None:
    # At this rate nothing is learnt: the validation accuracy stays where it is and the first epoch is the best.
    result = execute(tmp_path, cache, learning_rate=1e-12, schedule="constant", patience_epochs=2, epochs=9, images=8)
    assert result.stopped_early
    assert len(result.rows) == result.best_epoch + 2
    assert result.best_validation_accuracy == max(row.validation_accuracy for row in result.rows)
    again = execute(tmp_path, cache, learning_rate=1e-12, schedule="constant", patience_epochs=2, epochs=9, images=8)
    assert untimed(again) == untimed(result)


def test_the_confusion_counts_every_validation_picture_under_the_best_weights(tmp_path: Path, cache: Path) -> None:
    result = execute(tmp_path, cache)
    assert sum(map(sum, result.confusion)) == result.validation_images == 30
    right = sum(row[label] for label, row in enumerate(result.confusion))
    assert right / 30 == pytest.approx(result.best_validation_accuracy)
    assert result.rows[-1].accuracy is None


def test_confusion_has_true_classes_as_rows() -> None:
    counted = module.count_confusion(torch.tensor([0, 0, 2]), torch.tensor([1, 0, 1]), 3)
    assert counted == [[1, 1, 0], [0, 0, 0], [0, 1, 0]]


def test_half_precision_without_a_gpu_is_refused_with_a_way_out(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(ValueError, match="precision: float16 needs a GPU"):
        execute(tmp_path, cache, precision="float16")


def test_every_recorded_metric_is_declared(tmp_path: Path, cache: Path) -> None:
    execute(tmp_path, cache, epochs=1, training_accuracy=True)
    found = map(json.loads, (tmp_path / "records.ndjson").read_text().splitlines())
    recorded = {name for record in found if record["type"] == "metric" for name in record["values"]}
    assert recorded == {metric.name for metric in EXPERIMENT.metrics} - {"memory_used_bytes"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"warmup_epochs": 2}, "warmup_epochs must be less than epochs, 2; it is 2"),
        ({"model": "vgg11"}, "image_size: vgg11 takes 32 pixels or more; it is 16"),
        ({"precision": "int8"}, "bfloat16"),
        ({"dataset": "a/b"}, "String should match pattern"),
        ({"lr": 0.1}, "Extra inputs are not permitted"),
    ],
)
def test_a_bad_spec_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TrainClassifierSpec.model_validate({**TINY, **fields})


def test_values_of_seed_0_are_the_recorded_ones(tmp_path: Path, cache: Path) -> None:
    result = execute(tmp_path, cache, **EXPECTED["spec"]).model_dump(mode="json")
    for row, expected in zip(result["rows"], EXPECTED["result"]["rows"], strict=True):
        # Processors add up in different orders; training makes the difference grow a little.
        assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-3)
    for name in ("parameter_count", "train_images", "validation_images", "best_epoch", "confusion"):
        assert result[name] == EXPECTED["result"][name], name


def test_pictures_can_be_drawn_and_name_their_axes(tmp_path: Path, cache: Path) -> None:
    drawn = figures.draw(TrainClassifierSpec(**TINY), execute(tmp_path, cache, training_accuracy=True))
    assert drawn.keys() == {"curves", "confusion"}
    for name, figure in drawn.items():
        assert isinstance(figure, Figure)
        figure.savefig(tmp_path / f"{name}.png")
        assert all(axes.get_ylabel() for axes in figure.axes)


def test_phases_of_the_first_two_steps_are_marked_and_later_ones_as_a_whole(tmp_path: Path, cache: Path) -> None:
    execute(tmp_path, cache, epochs=1, gradient_accumulation_steps=2, batch_size=4)
    lines = (tmp_path / "records.ndjson").read_text().splitlines()
    phases = [record["name"] for record in map(json.loads, lines) if record["type"] == "phase"]
    step = ["forward", "backward", "forward", "backward", "step"]
    assert phases == ["model", "train", *step, *step, "train", "evaluation", "validation", "evaluation"]
