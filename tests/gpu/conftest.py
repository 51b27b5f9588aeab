"""Of a real GPU where there is one, else of an emulated one: `make test-integration` starts them so."""

from collections.abc import Iterator

import pytest

from emulator import is_emulated
from worker.measuring.nvml import Nvml, NvmlAbsent


def pytest_report_header() -> str:
    return "gpu: emulated" if is_emulated() else "gpu: the machine's own, if it has one"


@pytest.fixture(autouse=True)
def _gpu() -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU; `python -m emulator T4,T4 -- pytest tests/gpu` emulates some")
    torch.cuda.empty_cache()


@pytest.fixture
def nvml() -> Iterator[Nvml]:
    nvml = Nvml.open()
    if isinstance(nvml, NvmlAbsent):
        pytest.skip(nvml.reason)
    yield nvml
    nvml.close()


@pytest.fixture
def uuid(nvml: Nvml) -> str:
    usable = [gpu.uuid for gpu in nvml.gpus() if gpu.healthy]
    if not usable:
        pytest.skip("every GPU of this machine is broken")
    return usable[0]
