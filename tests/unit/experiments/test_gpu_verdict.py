"""A GPU that torch cannot use at all is the machine's trouble; what goes wrong on a GPU is the run's."""

from pathlib import Path

import pytest

from experiments.hosting.run_directory import RunDirectory
from experiments.hosting.verdict import ending_of
from experiments.hosting.wire import RunOrder


def kind_of(error: BaseException, device: str, folder: Path) -> tuple[str, object]:
    order = RunOrder(experiment="x", spec={}, device=device, datasets_folder=folder, cache_folder=folder)
    kind, fields = ending_of(error, order, RunDirectory(folder), None)
    return kind, fields.get("gpus_unusable")


@pytest.mark.parametrize(
    "words",
    [
        "No CUDA GPUs are available",
        "Unexpected error from cudaGetDeviceCount(). Error 803: system has unsupported display driver",
        "The NVIDIA driver on your system is too old (found version 11040).",
    ],
)
def test_gpu_that_cannot_be_used_is_no_error_of_the_run(words: str, tmp_path: Path) -> None:
    assert kind_of(RuntimeError(words), "cuda", tmp_path) == ("disturbed", True)
    assert kind_of(RuntimeError(words), "cpu", tmp_path) == ("error", None), "it was given no GPU"


def test_error_on_a_gpu_stays_one_of_the_run(tmp_path: Path) -> None:
    words = "CUDA error: device-side assert triggered"
    assert kind_of(RuntimeError(words), "cuda", tmp_path) == ("error", None)
    assert kind_of(ValueError("No CUDA GPUs are available"), "cuda", tmp_path) == ("error", None)
