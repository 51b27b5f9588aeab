from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes.nvml import FakeNvml, build_library


@pytest.fixture(scope="session")
def nvml_libraries(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Builds the fake library, once for each set of missing symbols."""
    folder = tmp_path_factory.mktemp("fake_nvml")
    return lambda *missing: build_library(folder, missing)


@pytest.fixture
def world(tmp_path: Path, nvml_libraries: Callable[..., Path]) -> FakeNvml:
    return FakeNvml(tmp_path, nvml_libraries())
