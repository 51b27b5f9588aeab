"""The stacked networks of edge-bands against plain modules, and runs that stop, resume and repeat."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from experiments.contract import Diverged, Stopped
from experiments.hosting.run_directory import RunDirectory
from homework.experiments.edge_bands.data import draw_images, generator
from homework.experiments.edge_bands.figures import draw
from homework.experiments.edge_bands.models import initial_cnn, initial_mlp, stacked_network
from homework.experiments.edge_bands.plain import plain_network
from homework.experiments.edge_bands.run import run
from homework.experiments.edge_bands.spec import EdgeBandsResult, EdgeBandsSpec
from homework.experiments.edge_bands.training import PreparedSet, evaluated_epochs, train

EXPECTED = Path("homework/experiments/edge_bands/expected.json")
VARIANTS = {
    "cnn": EdgeBandsSpec(),
    "average pooling, five classes": EdgeBandsSpec(pooling="average", classes=5),
    "small kernels": EdgeBandsSpec(kernel_size=3),
    "large kernels, uneven batches": EdgeBandsSpec(kernel_size=11, batch_size=7),
    "mlp": EdgeBandsSpec(model="mlp"),
    "permuted and shifted": EdgeBandsSpec(permute_pixels=True, domain_shift=True, geometry="original"),
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def run_in(folder: Path, spec: EdgeBandsSpec, seed: int = 0) -> EdgeBandsResult:
    directory = RunDirectory(folder, seed=seed)
    try:
        return run(spec, directory)
    finally:
        directory.close()


def plain_with_weights_of(spec: EdgeBandsSpec, seed: int) -> nn.Sequential:
    network = plain_network(spec).double()
    initial = initial_mlp if spec.model == "mlp" else initial_cnn
    for parameter, drawn in zip(network.parameters(), initial(spec, generator(seed, "weights")), strict=True):
        parameter.data = torch.from_numpy(drawn)
    return network


def train_plainly(spec: EdgeBandsSpec, seed: int) -> nn.Sequential:
    """The textbook loop: torch's layers, torch's optimizer, one seed."""
    network = plain_with_weights_of(spec, seed)
    optimizer = torch.optim.SGD(network.parameters(), lr=spec.learning_rate, momentum=spec.momentum)
    images = draw_images(spec, seed, "train")
    pixels, labels = torch.from_numpy(images.pixels).double().unsqueeze(1) / 255, torch.from_numpy(images.labels)
    for epoch in range(1, spec.epochs + 1):
        order = torch.from_numpy(generator(seed, "order", epoch).permutation(len(labels)))
        for batch in torch.split(order, spec.batch_size):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(pixels[batch]), labels[batch]).backward()
            optimizer.step()
    return network


def trained_stack(folder: Path, spec: EdgeBandsSpec, seeds: range, dtype: torch.dtype) -> list[Tensor]:
    network = stacked_network(spec, seeds, dtype)
    images = {split: [draw_images(spec, seed, split) for seed in seeds] for split in ("train", "validation")}
    sets = {split: PreparedSet.of(network, drawn) for split, drawn in images.items()}
    directory = RunDirectory(folder)
    train(spec, directory, seeds, network, sets)
    directory.close()
    return network.parameters


@pytest.mark.parametrize("spec", VARIANTS.values(), ids=VARIANTS.keys())
def test_stacked_training_is_plain_training_of_each_seed(tmp_path: Path, spec: EdgeBandsSpec) -> None:
    """In double precision rounding stays near 1e-16 a step; agreement to 1e-9 leaves no room for another algorithm."""
    spec = spec.model_copy(update={"epochs": 6})
    seeds = range(3, 6)
    stacked = trained_stack(tmp_path, spec, seeds, torch.float64)
    for replica, seed in enumerate(seeds):
        start = list(plain_with_weights_of(spec, seed).parameters())
        for ours, theirs, first in zip(stacked, train_plainly(spec, seed).parameters(), start, strict=True):
            torch.testing.assert_close(ours[replica].reshape(theirs.shape), theirs, rtol=0, atol=1e-9)
            assert not torch.equal(theirs, first)


@pytest.mark.parametrize("model", ["cnn", "mlp", "edge_frozen"])
def test_replica_equals_the_single_run_of_its_seed(tmp_path: Path, model: str) -> None:
    """Equal bit for bit where this was written; 1e-5 allows a library that sums another stack in another order."""
    spec = EdgeBandsSpec(model=model, epochs=20, replicas=4)
    together = run_in(tmp_path / "together", spec, seed=10)
    for index in range(4):
        alone = run_in(tmp_path / str(index), spec.model_copy(update={"replicas": 1}), seed=10 + index).replicas[0]
        replica = together.replicas[index]
        assert replica.seed == alone.seed
        assert replica.train_losses == pytest.approx(alone.train_losses, abs=1e-5)
        assert replica.validation_losses == pytest.approx(alone.validation_losses, abs=1e-5)
        assert replica.validation_accuracies == pytest.approx(alone.validation_accuracies, abs=1 / 150 + 1e-9)


def test_parameter_counts_are_those_of_the_modules() -> None:
    known = {(3, 7): 606, (5, 7): 614, (3, 3): 126, (3, 5): 318, (3, 11): 1470}
    for (classes, side), count in known.items():
        spec = EdgeBandsSpec(classes=classes, kernel_size=side)
        assert spec.parameters == count == sum(one.numel() for one in plain_network(spec).parameters())
        assert sum(one[0].numel() for one in stacked_network(spec, [0]).parameters) == count
    for classes, count in {3: 39_793, 5: 39_815}.items():
        spec = EdgeBandsSpec(model="mlp", classes=classes)
        assert spec.parameters == count == sum(one.numel() for one in plain_network(spec).parameters())


def test_edge_frozen_trains_twelve_parameters_and_leaves_its_kernels(tmp_path: Path) -> None:
    spec = EdgeBandsSpec(model="edge_frozen", epochs=5)
    assert spec.trainable_parameters == 12
    assert sum(one[0].numel() for one in stacked_network(spec, [0]).parameters) == 12
    result = run_in(tmp_path, spec)
    assert result.trainable_parameters == 12
    assert result.replicas[0].kernels_before == result.replicas[0].kernels_after
    horizontal = torch.tensor(result.replicas[0].kernels_after[0])
    assert horizontal[3].tolist() == [1.0] * 7
    assert horizontal[4].tolist() == [-1.0] * 7
    assert horizontal.abs().sum() == 14


def test_permuting_the_first_layers_columns_with_the_pixels_changes_nothing() -> None:
    """Why shuffled pixels are the same problem to a dense network: its first weights are as likely permuted as not."""
    spec = EdgeBandsSpec(model="mlp")
    order = torch.from_numpy(generator(5, "permutation").permutation(784))
    plain, shuffled = (stacked_network(spec, [5], torch.float64) for _ in range(2))
    with torch.no_grad():
        shuffled.parameters[0].copy_(plain.parameters[0][:, :, order])
    for network, permute in ((plain, False), (shuffled, True)):
        images = draw_images(spec.model_copy(update={"permute_pixels": permute}), 5, "train")
        data = PreparedSet.of(network, [images])
        for _ in range(30):
            loss = nn.functional.cross_entropy(network.logits(data.inputs)[0], data.labels[0])
            with torch.no_grad():
                for weight, slope in zip(
                    network.parameters, torch.autograd.grad(loss, network.parameters), strict=True
                ):
                    weight.sub_(slope, alpha=0.1)
    torch.testing.assert_close(shuffled.parameters[0], plain.parameters[0][:, :, order], rtol=0, atol=1e-10)
    torch.testing.assert_close(shuffled.parameters[-1], plain.parameters[-1], rtol=0, atol=1e-10)


class StopsAtEpoch(RunDirectory):
    """Asks the run to stop once it has said that `epoch` is done."""

    epoch = 0

    def metrics(self, step: int, values: dict[str, float]) -> None:
        super().metrics(step, values)
        if step == self.epoch:
            self.ask_to_stop()


@pytest.mark.parametrize("model", ["cnn", "mlp", "edge_frozen"])
def test_stopped_run_resumes_to_the_same_result(tmp_path: Path, model: str) -> None:
    spec = EdgeBandsSpec(model=model, epochs=8, replicas=2, images_per_class=5)
    stopping = StopsAtEpoch(tmp_path / "stopped", seed=1)
    stopping.epoch = 3
    with pytest.raises(Stopped, match="after epoch 3 of 8"):
        run(spec, stopping)
    stopping.close()
    resumed = run_in(tmp_path / "stopped", spec, seed=1)
    assert resumed == run_in(tmp_path / "straight", spec, seed=1)


def test_loss_that_is_not_finite_is_divergence(tmp_path: Path) -> None:
    spec = EdgeBandsSpec(model="edge_frozen", learning_rate=10, momentum=0.99, epochs=2000, curve_points=2)
    network = stacked_network(spec, [0])
    with torch.no_grad():
        network.parameters[0].fill_(float("inf"))
    data = PreparedSet.of(network, [draw_images(spec, 0, "train")])
    with pytest.raises(Diverged, match="the train loss of seed 0 is not finite after epoch 0"):
        train(spec, RunDirectory(tmp_path), [0], network, {"train": data, "validation": data})


@pytest.mark.parametrize(("epochs", "points", "expected"), [(4, 30, {0, 1, 2, 3, 4}), (10, 3, {0, 4, 7, 10})])
def test_evaluations_are_spread_evenly_and_include_first_and_last(epochs: int, points: int, expected: set[int]) -> None:
    assert evaluated_epochs(EdgeBandsSpec(epochs=epochs, curve_points=points)) == expected


def test_network_whose_features_all_died_is_reported_as_collapsed(tmp_path: Path) -> None:
    """Steps this long push every pre-activation below zero, where ReLU passes no gradient back."""
    result = run_in(tmp_path, EdgeBandsSpec(learning_rate=5, epochs=10, replicas=3))
    assert result.collapsed_replicas == 3
    for replica in result.replicas:
        assert replica.collapsed
        assert replica.dead_features == 3
        assert replica.train_accuracy == pytest.approx(1 / 3)


def test_network_that_learned_is_not_collapsed(tmp_path: Path) -> None:
    result = run_in(tmp_path, EdgeBandsSpec(model="edge_frozen", epochs=30, replicas=3))
    assert result.collapsed_replicas == 0
    assert result.train_accuracy_mean > 0.8
    assert result.validation_accuracy_sd is not None


def test_smoke_run_gives_the_expected_values(tmp_path: Path) -> None:
    """Other processors may round matrix products differently: a relative 1e-4 on losses, three images on accuracies."""
    expected = json.loads(EXPECTED.read_text())
    for case in expected["runs"]:
        result = run_in(tmp_path / case["spec"]["model"], EdgeBandsSpec(**case["spec"]), seed=expected["seed"])
        assert [one.train_loss for one in result.replicas] == pytest.approx(case["train_losses"], rel=1e-4)
        assert [one.validation_loss for one in result.replicas] == pytest.approx(case["validation_losses"], rel=1e-4)
        accuracies = [one.validation_accuracy for one in result.replicas]
        assert accuracies == pytest.approx(case["validation_accuracies"], abs=0.02)


def test_figures_show_what_the_run_varies(tmp_path: Path) -> None:
    spec = EdgeBandsSpec(epochs=1, replicas=2, domain_shift=True, permute_pixels=True)
    figures = draw(spec, run_in(tmp_path, spec))
    assert figures.keys() == {
        "images", "images_unpermuted", "images_validation", "kernels", "curves", "confusion",
    }  # fmt: skip
    for name, figure in figures.items():
        figure.savefig(tmp_path / f"{name}.png")
    mlp = EdgeBandsSpec(model="mlp", epochs=1)
    assert "kernels" not in draw(mlp, run_in(tmp_path / "mlp", mlp))
