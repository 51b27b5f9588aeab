"""Studies from Python and from the command line, against a whole lab."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import gpulab
from tests.lab import ROOT, Lab, gpulab_command

pytestmark = pytest.mark.slow


@pytest.fixture
def cli(lab: Lab, tmp_path: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    environment = os.environ | {"GPULAB_URL": lab.url, "GPULAB_TOKEN": lab.token, "PYTHONPATH": str(ROOT)}

    def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
        command = [*gpulab_command(), "study", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=60)

    return run


def test_study_from_submission_to_its_report(lab: Lab, tmp_path: Path) -> None:
    seen: list[float] = []
    with gpulab.Client(lab.url, lab.token) as client:
        study = client.submit_study(
            experiment="dropout-linear", base={"method": "closed_form"}, grid={"dropout": [0.2, 0.4]}, name="two"
        )
        study.wait(timeout=60, on_change=lambda study: seen.append(study.progress))
        study.raise_for_failure()
        rows = {row["dropout"]: row for row in study.table() if row["quantity"] == "weights[0]"}
        assert seen[-1] == 1.0
        assert rows[0.2]["mean"] == pytest.approx(1.1 * 0.8 / 1.8)
        assert (rows[0.4]["n"], rows[0.4]["sd"]) == (1, None)
        assert sorted([job.name for job in study.jobs()], key=str) == ["dropout=0.2", "dropout=0.4"]
        (page,) = study.report(tmp_path, "html", timeout=90)
        assert "dropout" in page.read_text()
        assert [found.id for found in client.studies(limit=1)] == [study.id]


def test_failed_runs_are_named_and_tried_again(
    lab: Lab, cli: Callable[..., "subprocess.CompletedProcess[str]"]
) -> None:
    with gpulab.Client(lab.url, lab.token) as client:
        study = client.submit_study(experiment="probe", base={"steps": 1}, grid={"ending": ["error", "result"]})
        study.wait(timeout=60)
        (cell,) = [cell for cell in study._loaded().comparison if cell.failed]
        assert study.state == "failed"
        assert f"seed 0 of ending=error: {cell.failed[0].why}" in cli("show", study.id).stdout
        with pytest.raises(gpulab.JobFailed, match="1 failed"):
            study.raise_for_failure()
        assert study.retry().state == "running"
        assert study.wait(timeout=60).state == "failed"
        assert cell.failed[0].job_id not in study._loaded().comparison[0].job_ids


def test_grid_in_a_file_is_submitted_followed_and_shown(
    cli: Callable[..., "subprocess.CompletedProcess[str]"], tmp_path: Path
) -> None:
    (tmp_path / "grid.yaml").write_text(
        "experiment: dropout-linear\nbase: {method: closed_form}\ngrid: {dropout: [0.1, 0.5]}\nseeds: [0]\n"
    )
    done = cli("submit", "grid.yaml", "--name", "rates", "--wait")
    study_id = json.loads(cli("show", "@last", "--json").stdout)["id"]
    more = cli("seeds", study_id, 1, "--fresh")
    assert done.returncode == 0, done.stderr
    assert "dropout=0.5" in done.stdout
    assert "train_loss" in done.stdout
    assert "rates" in cli("list").stdout
    assert "2 of them" not in done.stdout
    assert more.stdout.startswith(study_id)
    assert cli("watch", study_id).returncode == 0
    assert cli("cancel", study_id).returncode == 0
    report = cli("report", study_id, "--to", "out", "--format", "md")
    assert report.stdout.split() == ["out/report.md"]


def test_bad_input_is_explained(cli: Callable[..., "subprocess.CompletedProcess[str]"], tmp_path: Path) -> None:
    (tmp_path / "grid.yaml").write_text("experiment: dropout-linear\ngird: {}\n")
    assert "unknown key 'gird'" in cli("submit", "grid.yaml").stderr
    refused = cli("submit", "course/1a", "--scale", "huge", "--json")
    assert (refused.returncode, json.loads(refused.stderr)["problem"]["errors"][0]["path"]) == (3, "scale")
    assert "no study has the id or name 'no'" in cli("show", "no").stderr
    assert cli("report", "@last", "--format", "pdf").returncode == 2
