"""An upgrade of torch or of its libraries that the emulator does not know fails here, by name."""

import re
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest

from emulator.build import CUDA, NVML, build, names
from emulator.elf import defined_names, undefined_names

LIBRARIES = (
    "libtorch_cuda.so",
    "libc10_cuda.so",
    "libtorch_cuda_linalg.so",
    "libcaffe2_nvrtc.so",
    "libtorch_python.so",
)
CUDA_LIKE = re.compile(r"(__cuda|cuda|cublas|cudnn|cusolver|cufft|curand|cu[A-Z])")
OTHER_LIBRARIES = ("cuFile", "cusparse")
"""Left to NVIDIA's own, which fail by themselves without a card."""
OF_NVML = re.compile(rb"\0(nvml(?:Device|Init|System)\w+)\0")


@pytest.fixture(scope="module")
def torch_folder() -> Path:
    spec = find_spec("torch")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent / "lib"
    if not (folder / "libtorch_cuda.so").exists():
        pytest.skip("torch is built without CUDA")
    return folder


def asked_for(folder: Path) -> set[str]:
    found = set().union(*(undefined_names(folder / name) for name in LIBRARIES if (folder / name).exists()))
    return {name for name in found if CUDA_LIKE.match(name) and not name.startswith(OTHER_LIBRARIES)}


def test_every_name_that_torch_asks_for_is_known(torch_folder: Path) -> None:
    known = defined_names(build() / CUDA) | names().keys()
    assert asked_for(torch_folder) - known == set(), "decide in emulator/names.txt what the emulator says to these"


def test_what_is_ours_is_there_and_what_is_real_is_left_alone() -> None:
    defined = defined_names(build() / CUDA)
    listed = names()
    ours = {name for name, answer in listed.items() if answer != "real"}
    assert ours <= defined
    assert not defined & (listed.keys() - ours)


def test_driver_functions_that_torch_looks_for_where_memory_runs_out_are_there(torch_folder: Path) -> None:
    """PyTorch asserts on each of them; it finds them by their names, which are text in the library."""
    text = (torch_folder / "libc10_cuda.so").read_bytes()
    wanted = {name.decode() for name in OF_NVML.findall(text)}
    assert wanted, "the names are no longer where they were"
    assert wanted <= defined_names(build() / NVML)


def test_cudnn_is_the_one_whose_numbers_are_used() -> None:
    """Its attributes have numbers in emulator/c/cudnn.c; look them up again before this is changed."""
    assert version("nvidia-cudnn-cu13").split(".")[:2] == ["9", "24"]


def test_a_file_that_is_no_library_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("no library, but long enough for a header of one, since it has seventy bytes")
    with pytest.raises(ValueError, match="not a 64-bit ELF file"):
        undefined_names(text)
