"""How much faster the seeds of edge-bands train together than one after the other, in the same run.

    python benchmarks/edge_bands_vectorised.py [--replicas 5] [--rounds 7]

Three ways take turns, so that other load on the machine meets all of them: the textbook loop (plain modules and
torch.optim.SGD, a seed at a time), the stacked networks with one seed at a time, and all seeds stacked. Training alone
is timed, without drawing, preparing or evaluating images, in CPU seconds of this process, which other processes'
turns do not count in. Ratios are of the same round; the spread is over the rounds.
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from homework.experiments.edge_bands.data import draw_images, generator
from homework.experiments.edge_bands.models import stacked_network
from homework.experiments.edge_bands.plain import plain_network
from homework.experiments.edge_bands.spec import EdgeBandsSpec
from homework.experiments.edge_bands.training import PreparedSet, train_epoch

Epoch = Callable[[int], None]


def order(spec: EdgeBandsSpec, seed: int, epoch: int) -> torch.Tensor:
    return torch.from_numpy(generator(seed, "order", epoch).permutation(spec.classes * spec.images_per_class))


def plain_epoch(spec: EdgeBandsSpec, seed: int) -> Epoch:
    network = plain_network(spec)
    if spec.model == "edge_frozen":
        network[:-1].requires_grad_(requires_grad=False)
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trainable, lr=spec.learning_rate, momentum=spec.momentum)
    images = draw_images(spec, seed, "train")
    pixels, labels = torch.from_numpy(images.pixels).float().unsqueeze(1) / 255, torch.from_numpy(images.labels)

    def epoch(number: int) -> None:
        for batch in torch.split(order(spec, seed, number), spec.batch_size):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(pixels[batch]), labels[batch]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    return epoch


def stacked_epoch(spec: EdgeBandsSpec, seeds: range) -> Epoch:
    network = stacked_network(spec, seeds)
    data = PreparedSet.of(network, [draw_images(spec, seed, "train") for seed in seeds])
    momentum = [torch.zeros_like(parameter) for parameter in network.parameters]

    def epoch(number: int) -> None:
        orders = torch.stack([order(spec, seed, number) for seed in seeds])
        train_epoch(spec, network, data, momentum, orders)

    return epoch


def seconds(epochs: list[Epoch], numbers: range) -> float:
    started = time.process_time()
    for epoch in epochs:
        for number in numbers:
            epoch(number)
    return time.process_time() - started


def compare(spec: EdgeBandsSpec, replicas: int, rounds: int, epochs: int) -> str:
    seeds = range(replicas)
    ways = {
        "textbook": [plain_epoch(spec, seed) for seed in seeds],
        "one by one": [stacked_epoch(spec, range(seed, seed + 1)) for seed in seeds],
        "together": [stacked_epoch(spec, seeds)],
    }
    for way in ways.values():
        seconds(way, range(1))
    found = [{name: seconds(way, range(epochs)) for name, way in ways.items()} for _ in range(rounds)]
    steps = replicas * epochs * -(-spec.classes * spec.images_per_class // spec.batch_size)
    columns = [f"{spec.model:12s}"]
    columns += [f"{statistics.median(one[name] for one in found) / steps * 1e6:9.0f}" for name in ways]
    for name in ("textbook", "one by one"):
        ratios = sorted(one[name] / one["together"] for one in found)
        columns.append(f"{statistics.median(ratios):7.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")
    return "  ".join(columns)


def processor() -> str:
    names = [line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicas", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=10, help="in each timing")
    parser.add_argument("--images-per-class", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    print(f"{processor()}, {os.cpu_count()} cores, {chosen.threads} thread(s); torch {torch.__version__}")
    print(f"{chosen.replicas} seeds, batch 10, {chosen.rounds} rounds; median CPU microseconds for each seed's step;")
    print("ratios to all seeds together: median (lowest to highest round)\n")
    print("model          textbook  one by one  together  textbook / together   one by one / together")
    for model in ("cnn", "mlp", "edge_frozen"):
        spec = EdgeBandsSpec(model=model, images_per_class=chosen.images_per_class)
        print(compare(spec, chosen.replicas, chosen.rounds, chosen.epochs), flush=True)


if __name__ == "__main__":
    main()
