"""The images of `dropout-cheating`: normalised, 32x32x3, with and without the label written into them.

The code is the label's four bits, most significant first, in the last row's last four columns, written after
normalisation: a 1 is (3, -2, -2), red; a 0 is (0, 1, 1), a greyish cyan. Shapes: N images, 3 channels, 32 x 32
pixels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from experiments.contract import Run
from experiments.datasets.loading import Images, load, to_input
from homework.experiments.dropout_cheating.spec import DropoutCheatingSpec, Sample

SIZE = 32
BITS = 4
CIFAR10_MEAN = (0.4914, 0.4822, 0.4465)
CIFAR10_DEVIATION = (0.2023, 0.1994, 0.2010)
"""Of the training set's channels in [0, 1]; used for the digits too, so that a code pixel has the same colour there."""
SAMPLES = 5


@dataclass(frozen=True, slots=True)
class CheatingImages:
    """Training images with the code, and the same test images with and without it, on the run's device.

    Images are N x 3 x 32 x 32 floats, labels N class numbers.
    """

    class_names: tuple[str, ...]
    train: Tensor
    train_labels: Tensor
    cheat_test: Tensor
    clean_test: Tensor
    test_labels: Tensor

    def samples(self) -> list[Sample]:
        """The first training images in colours from 0 to 255."""
        mean_311, deviation_311 = _statistics(self.train.device)
        colors = (self.train[:SAMPLES] * deviation_311 + mean_311).clamp(0, 1).mul(255).round().to(torch.uint8)
        labels = self.train_labels[:SAMPLES].tolist()
        pixels = colors.permute(0, 2, 3, 1).cpu().tolist()
        return [Sample(label=label, pixels=image) for label, image in zip(labels, pixels, strict=True)]


def read_images(spec: DropoutCheatingSpec, run: Run) -> CheatingImages:
    """Load, draw, normalise and encode; raises `ValueError` for a data set without exactly ten classes."""
    data = load(spec.dataset, run, image_size=SIZE)
    if len(data.class_names) != 10:
        raise ValueError(f"dataset: the code has room for 10 classes; {spec.dataset} has {len(data.class_names)}")
    generator = torch.Generator().manual_seed(run.seed)
    train, test = _draw(data.train, spec.images, generator), _draw(data.test, spec.test_images, generator)
    train_N3HW, clean_test_N3HW = _normalised(train, run.device), _normalised(test, run.device)
    labels_N, test_labels_N = train.labels.to(run.device), test.labels.to(run.device)
    return CheatingImages(
        data.class_names,
        write_code(train_N3HW, labels_N),
        labels_N,
        write_code(clean_test_N3HW.clone(), test_labels_N),
        clean_test_N3HW,
        test_labels_N,
    )


def write_code(x_N3HW: Tensor, labels_N: Tensor) -> Tensor:
    """Write each label into its image, in place, and return the images."""
    weights_4 = 2 ** torch.arange(BITS - 1, -1, -1, device=x_N3HW.device)
    bits_N4 = labels_N[:, None].bitwise_and(weights_4).ne(0).to(x_N3HW.dtype)
    x_N3HW[:, 0, -1, -BITS:] = 3 * bits_N4
    x_N3HW[:, 1:, -1, -BITS:] = (1 - 3 * bits_N4)[:, None]
    return x_N3HW


def _draw(images: Images, wanted: int | None, generator: torch.Generator) -> Images:
    return images.take(torch.randperm(len(images), generator=generator)[:wanted])


def _normalised(images: Images, device: str) -> Tensor:
    mean_311, deviation_311 = _statistics(device)
    return (to_input(images.pixels.to(device), SIZE) - mean_311) / deviation_311


def _statistics(device: str | torch.device) -> tuple[Tensor, Tensor]:
    mean, deviation = (torch.tensor(values, device=device) for values in (CIFAR10_MEAN, CIFAR10_DEVIATION))
    return mean[:, None, None], deviation[:, None, None]
