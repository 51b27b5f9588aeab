"""What a run on an emulated GPU says, and what it leaves out."""

import json
from pathlib import Path

import pytest

from experiments.hosting.emulated import emulated_name, is_known, runs_on_emulated, without_values
from experiments.hosting.run_directory import RunDirectory


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    monkeypatch.setenv("GPULAB_EMULATE", "T4")
    return RunDirectory(tmp_path, device="cuda")


def records(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "records.ndjson").read_text().splitlines()]


def test_a_result_keeps_its_memory_and_its_settings_and_nothing_that_was_computed() -> None:
    result = {
        "peak_allocated_bytes": 7, "learning_rate": 0.1, "epochs": 3, "final_validation_accuracy": 0.0,
        "elapsed_seconds": 1.5, "images_per_second": 9.0, "rows": [{"mean_loss": 0.0, "reserved_bytes": 8}],
        "gradient_bytes": 5, "confusion": [[1]], "glossary": "kept",
    }  # fmt: skip
    assert without_values(result) == {
        "peak_allocated_bytes": 7, "learning_rate": 0.1, "epochs": 3, "final_validation_accuracy": None,
        "elapsed_seconds": None, "images_per_second": None, "rows": [{"mean_loss": None, "reserved_bytes": 8}],
        "gradient_bytes": 5, "confusion": None, "glossary": "kept",
    }  # fmt: skip


@pytest.mark.parametrize(("name", "known"), [("loss", False), ("host_rss_bytes", True), ("train_seconds", False)])
def test_a_name_says_what_can_be_known(name: str, known: bool) -> None:
    assert is_known(name) is known


def test_series_of_values_are_not_recorded(run: RunDirectory, tmp_path: Path) -> None:
    run.metrics(1, {"loss": 0.0})
    run.metrics(2, {"accuracy": 0.0, "memory_used_bytes": 3})
    run.close()
    assert [record["values"] for record in records(tmp_path)] == [{"memory_used_bytes": 3.0}]


def test_columns_of_values_are_empty_in_a_table(run: RunDirectory, tmp_path: Path) -> None:
    run.table("epochs", ["epoch", "mean_loss", "reserved_bytes"], [[1, 0.0, 5], [2, 0.0, 6]])
    run.close()
    assert (tmp_path / "artifacts" / "epochs.csv").read_text().split() == [
        "epoch,mean_loss,reserved_bytes",
        "1,,5",
        "2,,6",
    ]


def test_a_run_on_the_cpu_of_the_same_machine_says_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPULAB_EMULATE", "T4")
    assert not runs_on_emulated("cpu")
    assert (emulated_name("cpu"), emulated_name("cuda")) == (None, "emulated T4")
    run = RunDirectory(tmp_path, device="cpu")
    run.metrics(1, {"loss": 0.5})
    run.close()
    assert records(tmp_path)[0]["values"] == {"loss": 0.5}
