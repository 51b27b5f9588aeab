"""The folder of data sets is looked through beside the heartbeats, which it cannot hold up."""

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from experiments.datasets.inventory import Inventory
from tests.lab import wait_until
from worker import datasets
from worker.datasets import DatasetWatch


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Event]:
    """Set to let the file system answer."""
    answer = Event()
    monkeypatch.setattr(datasets, "take_inventory", lambda _: answer.wait(30) and Inventory(("digits", "late"), {}))
    yield answer
    answer.set()


def test_file_system_that_hangs_is_told_and_holds_nothing_up(
    hanging: Event, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(datasets, "STALLED_SECONDS", 0.1)
    watch = DatasetWatch(tmp_path, 0.01)
    watch.start()
    wait_until(lambda: watch.latest().skipped, what="the warning")
    assert "no answer" in watch.latest().skipped[str(tmp_path)]
    assert "late" not in watch.latest().datasets
    hanging.set()
    wait_until(lambda: watch.latest() == Inventory(("digits", "late"), {}), what="its answer")
    watch.stop()


def test_only_the_first_look_is_waited_for(hanging: Event, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(datasets, "STALLED_SECONDS", 0.5)
    watch = DatasetWatch(tmp_path, 0.01)
    watch.start()
    assert watch.latest().skipped
    began = time.monotonic()
    assert all(watch.latest().skipped for _ in range(6))
    assert time.monotonic() - began < 1.5, "half a second each would be 3"
    hanging.set()
    watch.stop()


def test_what_is_skipped_is_warned_of_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "gone").symlink_to("/nowhere")
    watch = DatasetWatch(tmp_path, 1)
    for _ in range(3):
        watch.look()
        assert "gone" in watch.latest().skipped
    said = capsys.readouterr()
    assert (said.out + said.err).count("dataset.skipped") == 1
