"""What a node has, and what the loader makes of it."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from experiments.contract import Stopped
from experiments.datasets import loading
from experiments.datasets.inventory import available_datasets, class_names
from experiments.datasets.loading import DatasetMissing, load, to_input
from experiments.hosting.run_directory import RunDirectory


def save_picture(path: Path, color: tuple[int, int, int], size: tuple[int, int] = (12, 10)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data-set folder with one image folder, `shades`: two classes, three training images, one test image."""
    datasets = tmp_path / "datasets"
    save_picture(datasets / "shades/train/dark/b.png", (10, 20, 30))
    save_picture(datasets / "shades/train/dark/a.png", (1, 2, 3))
    save_picture(datasets / "shades/train/light/c.png", (250, 240, 230))
    save_picture(datasets / "shades/val/light/d.png", (200, 200, 200))
    return datasets


def make_run(tmp_path: Path, folder: Path) -> RunDirectory:
    return RunDirectory(tmp_path / "run", datasets_folder=folder, cache_folder=tmp_path / "cache")


def test_a_fresh_machine_has_digits(tmp_path: Path) -> None:
    assert available_datasets(tmp_path / "missing") == ("digits",)


def test_an_image_folder_is_found_and_half_of_one_is_not(folder: Path) -> None:
    (folder / "empty/train/x").mkdir(parents=True)
    (folder / "empty/test/x").mkdir(parents=True)
    save_picture(folder / "no-test/train/x/1.png", (0, 0, 0))
    save_picture(folder / ".hidden/train/x/1.png", (0, 0, 0))
    save_picture(folder / ".hidden/test/x/1.png", (0, 0, 0))
    assert available_datasets(folder) == ("digits", "shades")
    assert class_names(folder, "shades") == ("dark", "light")
    assert class_names(folder, "no-test") == ()


def test_cifar10_is_found_as_batches_and_as_an_image_folder(tmp_path: Path) -> None:
    (tmp_path / "a/cifar-10-batches-py").mkdir(parents=True)
    (tmp_path / "a/cifar-10-batches-py/batches.meta").touch()
    save_picture(tmp_path / "b/cifar10/train/cat/1.png", (0, 0, 0))
    save_picture(tmp_path / "b/cifar10/test/cat/1.png", (0, 0, 0))
    assert "cifar10" in available_datasets(tmp_path / "a")
    assert "cifar10" in available_datasets(tmp_path / "b")


def test_the_inventory_imports_neither_torch_nor_scikit_learn(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from experiments.datasets.inventory import available_datasets;"
        f"available_datasets(pathlib.Path({str(tmp_path)!r}));"
        "assert not {'torch', 'sklearn', 'numpy', 'PIL'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[3])


def test_digits_have_a_fixed_split_and_come_back_the_same_from_the_cache(tmp_path: Path) -> None:
    run = make_run(tmp_path, tmp_path)
    first, again = load("digits", run, image_size=32), load("digits", run, image_size=64)
    assert first.train.pixels.shape == (1437, 1, 8, 8)
    assert first.test.pixels.shape == (360, 1, 8, 8)
    assert first.train.pixels.dtype == torch.uint8
    assert (int(first.train.pixels.min()), int(first.train.pixels.max())) == (0, 255)
    assert first.train.labels[:8].tolist() == again.train.labels[:8].tolist() == [6, 6, 6, 2, 5, 6, 6, 2]
    assert torch.equal(first.train.pixels, again.train.pixels)
    assert first.class_names == tuple("0123456789")


def test_an_image_folder_becomes_squares_with_labels_in_class_order(tmp_path: Path, folder: Path) -> None:
    shades = load("shades", make_run(tmp_path, folder), image_size=6)
    assert shades.class_names == ("dark", "light")
    assert shades.train.pixels.shape == (3, 3, 6, 6)
    assert shades.train.labels.tolist() == [0, 0, 1]
    assert shades.test.labels.tolist() == [1]
    assert shades.train.pixels[:, :, 3, 3].tolist() == [[1, 2, 3], [10, 20, 30], [250, 240, 230]]


def test_small_pictures_are_not_stored_larger_than_they_are(tmp_path: Path, folder: Path) -> None:
    assert load("shades", make_run(tmp_path, folder), image_size=224).train.pixels.shape == (3, 3, 10, 10)


def test_pictures_are_decoded_once_and_again_when_one_changes(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[Path] = []
    read_square = loading.read_square

    def count(path: Path, side: int) -> np.ndarray:
        decoded.append(path)
        return read_square(path, side)

    monkeypatch.setattr(loading, "read_square", count)
    run = make_run(tmp_path, folder)
    load("shades", run, image_size=6)
    load("shades", run, image_size=6)
    assert len(decoded) == 4
    save_picture(folder / "shades/train/dark/a.png", (9, 9, 9), (40, 40))
    os.utime(folder / "shades/train/dark/a.png", ns=(1, 1))
    assert load("shades", run, image_size=6).train.pixels[0, 0, 0, 0] == 9
    assert len(decoded) == 8


MAP_UNDER_A_LIMIT = """
import resource, sys
from pathlib import Path
import numpy as np
from experiments.datasets.loading import _through_cache
from experiments.hosting.run_directory import RunDirectory
used_kib = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, ((used_kib << 10) + (64 << 20), -1))
folder = Path(sys.argv[1])
run = RunDirectory(folder / "run", cache_folder=folder)
pixels, _ = _through_cache(run, "large", lambda: None)
pixels[0] = 7
print(pixels.sum())
try:
    np.ones(200 << 20, np.uint8)
except MemoryError:
    print("refused")
"""


def test_a_cache_larger_than_the_memory_limit_is_mapped_and_the_limit_still_holds(tmp_path: Path) -> None:
    np.save(tmp_path / "large-pixels.npy", np.zeros(100 << 20, np.uint8))
    np.save(tmp_path / "large-labels.npy", np.zeros(1, np.int64))
    command = [sys.executable, "-c", MAP_UNDER_A_LIMIT, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["7", "refused"]


def test_a_missing_data_set_is_named_with_what_there_is(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(DatasetMissing, match="no data set 'imagenet'; it has: digits, shades"):
        load("imagenet", make_run(tmp_path, folder), image_size=32)


@pytest.mark.parametrize("name", ["..", "../shades", "/etc", "", "a/b", "a\x00"])
def test_a_name_that_is_a_path_reaches_no_file(tmp_path: Path, folder: Path, name: str) -> None:
    with pytest.raises(DatasetMissing):
        load(name, make_run(tmp_path, folder / "shades"), image_size=32)


def test_a_broken_picture_is_named(tmp_path: Path, folder: Path) -> None:
    (folder / "shades/train/dark/a.png").write_bytes(b"not an image")
    with pytest.raises(DatasetMissing, match=r"train/dark/a\.png cannot be decoded"):
        load("shades", make_run(tmp_path, folder), image_size=32)


def test_a_test_class_without_training_pictures_is_refused(tmp_path: Path, folder: Path) -> None:
    save_picture(folder / "shades/val/middle/e.png", (99, 99, 99))
    with pytest.raises(DatasetMissing, match="class 'middle' of val is not among the classes of train"):
        load("shades", make_run(tmp_path, folder), image_size=32)


def test_batches_that_are_not_the_published_ones_are_never_unpickled(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "sprung"),)

    batches = tmp_path / "cifar-10-batches-py"
    batches.mkdir()
    for name in ["batches.meta", "test_batch", *(f"data_batch_{number}" for number in range(1, 6))]:
        (batches / name).write_bytes(pickle.dumps(Trap()))
    with pytest.raises(DatasetMissing, match="not the published ones"):
        load("cifar10", make_run(tmp_path, tmp_path), image_size=32)
    assert not (tmp_path / "sprung").exists()


def test_a_stop_ends_the_decoding(tmp_path: Path, folder: Path) -> None:
    run = make_run(tmp_path, folder)
    run.ask_to_stop()
    with pytest.raises(Stopped, match="0 of 4 images"):
        load("shades", run, image_size=6)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [4, 8, 20])
def test_inputs_have_three_channels_the_asked_size_and_unit_range(channels: int, size: int) -> None:
    pixels = torch.full((2, channels, 8, 8), 255, dtype=torch.uint8)
    inputs = to_input(pixels, size)
    assert inputs.shape == (2, 3, size, size)
    assert torch.allclose(inputs, torch.ones(()))
