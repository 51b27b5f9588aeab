"""The settings of every process, checked before any of them starts."""

from pathlib import Path

import pytest

from emulator.loading import real_driver
from migrations.check_settings import faults

FOLDERS = ("GPULAB_RUNS_FOLDER", "GPULAB_DATASETS_FOLDER", "GPULAB_CACHE_FOLDER")


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {
        "DATABASE_URL": "postgresql://",
        "REDIS_URL": "redis://",
        **dict.fromkeys(FOLDERS, "/x"),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GPULAB_ARTIFACTS_URL", tmp_path.as_uri())


def test_settings_in_order_have_no_fault() -> None:
    assert faults() == []


def test_fault_of_each_process_is_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPULAB_TIME_ZONE", "Mars/Olympus")
    monkeypatch.setenv("GPULAB_SLOTS", "many")
    found = faults()
    assert [words.partition(":")[0] for words in found] == ["GPULAB_TIME_ZONE", "GPULAB_SLOTS"]


@pytest.mark.skipif(real_driver() is not None, reason="nothing is emulated beside a real driver")
@pytest.mark.parametrize("cards", ["T5", "T4,", "T4;T4", "T4,Voodoo 2"])
def test_card_that_cannot_be_emulated_is_named_with_those_that_can(monkeypatch: pytest.MonkeyPatch, cards: str) -> None:
    monkeypatch.setenv("GPULAB_EMULATE", cards)
    (found,) = faults()
    assert "can be emulated; these can: T4, L4" in found
