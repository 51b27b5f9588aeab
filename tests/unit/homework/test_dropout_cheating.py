"""`dropout-cheating`: the code in the corner, the net, dead classes, and runs that go on."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure
from pydantic import ValidationError
from torch.nn import functional

from experiments.contract import Diverged, Stopped
from experiments.hosting.run_directory import RunDirectory
from homework.experiments.dropout_cheating import figures
from homework.experiments.dropout_cheating import run as module
from homework.experiments.dropout_cheating.images import read_images, write_code
from homework.experiments.dropout_cheating.spec import EXPERIMENT, DropoutCheatingResult, DropoutCheatingSpec

EXPECTED = json.loads((Path(module.__file__).parent / "expected.json").read_text())
IN_PIXELS = ("train", "cheat_test", "clean_test")
TINY: dict[str, Any] = {"images": 128, "test_images": 50, "epochs": 2}


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


def execute(folder: Path, cache: Path, seed: int = 0, **fields: object) -> DropoutCheatingResult:
    run = RunDirectory(folder, seed=seed, cache_folder=cache)
    result = module.run(DropoutCheatingSpec.model_validate({**TINY, **fields}), run)
    run.close()
    return result


def untimed(result: DropoutCheatingResult) -> dict[str, Any]:
    return result.model_dump(exclude={"epochs": {"__all__": {"seconds"}}})


def test_defaults_are_the_homeworks_training() -> None:
    spec = DropoutCheatingSpec()
    assert (spec.epochs, spec.batch_size, spec.learning_rate, spec.relu_on_logits) == (10, 64, 3e-3, True)
    assert EXPERIMENT.datasets(DropoutCheatingSpec(dataset="cifar10")) == ("cifar10",)


def test_the_net_has_the_homeworks_size_with_and_without_the_last_relu() -> None:
    for relu in (True, False):
        net = module.build_net(DropoutCheatingSpec(relu_on_logits=relu))
        assert sum(parameter.numel() for parameter in net.parameters()) == 25_578
        assert net(torch.zeros(1, 3, 32, 32)).shape == (1, 10)


def test_the_code_is_the_label_in_the_last_four_pixels_and_nowhere_else() -> None:
    before = torch.rand(10, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    coded = write_code(before.clone(), torch.arange(10))
    assert coded[9, 0, 31, 28:].tolist() == [3, 0, 0, 3]
    assert coded[9, 1, 31, 28:].tolist() == coded[9, 2, 31, 28:].tolist() == [-2, 1, 1, -2]
    assert coded[6, 0, 31, 28:].tolist() == [0, 3, 3, 0]
    changed = (coded != before).any(1).any(0)
    assert changed.nonzero().tolist() == [[31, column] for column in range(28, 32)]


def test_pictures_differ_by_the_code_alone_and_samples_show_it(tmp_path: Path, cache: Path) -> None:
    images = read_images(DropoutCheatingSpec(**TINY), RunDirectory(tmp_path, cache_folder=cache))
    assert images.train.shape == (128, 3, 32, 32)
    differs = (images.cheat_test != images.clean_test).any(1).any(0)
    assert not differs[:31].any()
    assert not differs[31, :28].any()
    for sample in images.samples():
        corner = sample.pixels[31][28:]
        bits = "".join("1" if red > 200 and green < 100 else "0" for red, green, _ in corner)
        assert int(bits, 2) == sample.label


def test_rows_metrics_and_the_result_agree(tmp_path: Path, cache: Path) -> None:
    result = execute(tmp_path, cache)
    assert (result.parameter_count, result.train_images, result.test_images) == (25_578, 128, 50)
    assert [row.epoch for row in result.epochs] == [1, 2]
    assert result.cheat_accuracy == result.epochs[-1].cheat_accuracy
    assert result.clean_accuracy == result.epochs[-1].clean_accuracy
    assert len(result.dead_classes) == result.epochs[-1].dead_classes
    found = [json.loads(line) for line in (tmp_path / "records.ndjson").read_text().splitlines()]
    metrics = [record for record in found if record["type"] == "metric"]
    losses = [record["values"]["loss"] for record in metrics if "loss" in record["values"]]
    assert len(losses) == 4
    assert result.epochs[0].train_loss == pytest.approx(sum(losses[:2]) / 2)
    assert {name for record in metrics for name in record["values"]} == {metric.name for metric in EXPERIMENT.metrics}
    assert (tmp_path / "artifacts/epochs.csv").exists()


def test_a_net_with_nothing_but_the_code_to_see_cheats_and_dropout_slows_it(tmp_path: Path, cache: Path) -> None:
    run = RunDirectory(tmp_path, cache_folder=cache)
    images = read_images(DropoutCheatingSpec(images=1000, test_images=200), run)
    for part in (images.train, images.clean_test, images.cheat_test):
        part.zero_()
    write_code(images.train, images.train_labels)
    write_code(images.cheat_test, images.test_labels)
    accuracies: dict[float, float] = {}
    for dropout in (0.0, 0.75):
        spec = DropoutCheatingSpec(dropout=dropout, relu_on_logits=False, learning_rate=0.1)
        torch.manual_seed(0)
        net = module.build_net(spec)
        training = module._Training(spec, run, net, torch.optim.SGD(net.parameters(), lr=spec.learning_rate))
        for _ in range(7):
            training.epoch(images)
        accuracies[dropout] = training.epochs[-1].cheat_accuracy
        assert training.epochs[-1].clean_accuracy < 0.25
    assert accuracies[0.0] > 0.95
    assert accuracies[0.75] < accuracies[0.0]


@pytest.mark.parametrize("seed", range(3))
def test_training_is_that_of_plain_tensors_in_the_usual_layout(tmp_path: Path, cache: Path, seed: int) -> None:
    """A second implementation, in double precision so that only another algorithm could tell them apart."""
    spec = DropoutCheatingSpec(**{**TINY, "learning_rate": 0.05, "relu_on_logits": False})
    run = RunDirectory(tmp_path, seed=seed, cache_folder=cache)
    images = read_images(spec, run)
    doubled = replace(images, **{name: getattr(images, name).double() for name in IN_PIXELS})
    torch.manual_seed(seed)
    net = module.build_net(spec).to(torch.float64, memory_format=torch.channels_last)
    weights = [weight.detach().clone().contiguous().requires_grad_() for weight in net.parameters()]
    order = torch.get_rng_state()
    training = module._Training(spec, run, net, torch.optim.SGD(net.parameters(), lr=spec.learning_rate))
    training.epoch(doubled)
    torch.set_rng_state(order)
    for index in torch.randperm(spec.images or 0).split(spec.batch_size):
        x = doubled.train[index]
        for kernel, bias in (weights[0:2], weights[2:4]):
            x = functional.max_pool2d(functional.conv2d(x, kernel, bias, padding=1), 2).relu()
        loss = functional.cross_entropy(x.flatten(1) @ weights[4].T + weights[5], doubled.train_labels[index])
        for weight, slope in zip(weights, torch.autograd.grad(loss, weights), strict=True):
            weight.data -= spec.learning_rate * slope
    for ours, theirs in zip(net.parameters(), weights, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_a_class_held_at_zero_counts_as_dead_only_under_a_relu() -> None:
    logits = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    other = torch.tensor([[0.0, 0.0, 2.0]])
    assert module.dead_classes(DropoutCheatingSpec(), logits, other) == [0]
    assert module.dead_classes(DropoutCheatingSpec(), logits) == [0, 2]
    assert module.dead_classes(DropoutCheatingSpec(relu_on_logits=False), logits) == []


def test_the_clean_accuracy_at_the_target_is_that_of_the_first_epoch_there(tmp_path: Path, cache: Path) -> None:
    result = execute(tmp_path / "a", cache, images=1000, epochs=4, target_cheat_accuracy=0.2)
    reached = [row for row in result.epochs if row.cheat_accuracy >= 0.2]
    assert reached
    assert result.epoch_at_target == reached[0].epoch
    assert result.clean_accuracy_at_target == reached[0].clean_accuracy
    never = execute(tmp_path / "b", cache, epochs=1, target_cheat_accuracy=1)
    assert never.epoch_at_target is never.clean_accuracy_at_target is None


@pytest.mark.parametrize("looks", [2, 3])
def test_a_stopped_run_goes_on_to_the_same_numbers(tmp_path: Path, cache: Path, looks: int) -> None:
    whole = execute(tmp_path / "whole", cache, dropout=0.5)
    stopped = StopsAfter(tmp_path / "resumed", cache_folder=cache)
    stopped.looks = looks
    with pytest.raises(Stopped, match="epoch 2"):
        module.run(DropoutCheatingSpec(**TINY, dropout=0.5), stopped)
    assert untimed(execute(tmp_path / "resumed", cache, dropout=0.5)) == untimed(whole)


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path: Path, cache: Path) -> None:
    run = RunDirectory(tmp_path, cache_folder=cache)
    spec = DropoutCheatingSpec(**TINY, relu_on_logits=False)
    images = read_images(spec, run)
    images.train[5] = torch.inf
    net = module.build_net(spec)
    training = module._Training(spec, run, net, torch.optim.SGD(net.parameters(), lr=spec.learning_rate))
    with pytest.raises(Diverged, match=r"the loss is nan at step \d; a smaller learning_rate"):
        training.epoch(images)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dropout": 1}, "less than 1"),
        ({"dataset": "shades"}, "'digits' or 'cifar10'"),
        ({"images": 10}, "greater than or equal to 64"),
        ({"momentum": 0.9}, "Extra inputs are not permitted"),
    ],
)
def test_a_bad_spec_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DropoutCheatingSpec.model_validate(fields)


def test_values_of_seed_0_are_the_recorded_ones(tmp_path: Path, cache: Path) -> None:
    result = execute(tmp_path, cache, **EXPECTED["spec"]).model_dump(mode="json")
    for row, expected in zip(result["epochs"], EXPECTED["result"]["epochs"], strict=True):
        # Processors add up in different orders; training makes the difference grow a little.
        assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-3)
    for name in ("parameter_count", "train_images", "test_images", "clean_accuracy", "cheat_accuracy", "dead_classes"):
        assert result[name] == EXPECTED["result"][name], name


def test_pictures_can_be_drawn_and_name_their_axes(tmp_path: Path, cache: Path) -> None:
    drawn = figures.draw(DropoutCheatingSpec(**TINY), execute(tmp_path, cache, target_cheat_accuracy=0.11))
    assert drawn.keys() == {"samples", "loss", "accuracy"}
    for name, figure in drawn.items():
        assert isinstance(figure, Figure)
        figure.savefig(tmp_path / f"{name}.png")
        assert all(axes.get_title() and (name == "samples" or axes.get_ylabel()) for axes in figure.axes)
