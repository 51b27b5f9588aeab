"""Of a real GPU where there is one, else of an emulated one: `make test-integration` starts them so."""

import pytest

from emulator import is_emulated


def pytest_report_header() -> str:
    return "gpu: emulated" if is_emulated() else "gpu: the machine's own, if it has one"


@pytest.fixture(autouse=True)
def _gpu() -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU; `python -m emulator T4,T4 -- pytest tests/gpu` emulates some")
    torch.cuda.empty_cache()
