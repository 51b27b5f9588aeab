"""The client and the command line against a whole lab."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import gpulab
from tests.lab import ROOT, Lab, gpulab_command

pytestmark = pytest.mark.slow


@pytest.fixture
def client(lab: Lab) -> Iterator[gpulab.Client]:
    with gpulab.Client(lab.url, lab.token) as client:
        yield client


@pytest.fixture
def cli(lab: Lab, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    environment = os.environ | {"GPULAB_URL": lab.url, "GPULAB_TOKEN": lab.token, "PYTHONPATH": str(ROOT)}

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [*gpulab_command(), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=60)

    return run


def test_a_run_from_submission_to_its_files(client: gpulab.Client, tmp_path: Path) -> None:
    states: list[str] = []
    job = client.submit("probe", {"steps": 5}, seed=3, name="first", tags=["acceptance"])
    job.wait(timeout=60, on_change=lambda seen: states.append(seen.state))
    assert job.state == "succeeded", job.message
    assert states[-1] == "succeeded"
    assert job.result is not None
    assert job.result["total"] == 15
    assert job.metrics(["double"])["double"].values == [2, 4, 6, 8, 10]
    assert "probe begins" in "".join(job.logs())
    assert [event.to_state for event in job.events()][-1] == "succeeded"
    assert [artifact.name for artifact in job.artifacts()] == ["steps.csv"]
    assert job.download("steps.csv", tmp_path).read_text().split() == ["total", "15"]
    assert [found.id for found in client.jobs(tag="acceptance", limit=1)] == [job.id]
    assert job.queue().position is None


def test_following_logs_ends_with_the_job(client: gpulab.Client) -> None:
    job = client.submit("probe", {"steps": 3})
    assert "probe begins" in "".join(job.logs(follow=True))
    assert job.refresh().is_final


def test_stream_of_a_job_tells_its_states_and_ends(client: gpulab.Client, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    job = client.submit("probe", {"steps": 2, "gate": str(gate)})
    states = []
    for change in job.stream(patience_seconds=10):
        states.append(change.data.get("state"))
        if "running" in states:
            gate.write_text("2")
    assert states[-1] == "succeeded"


def test_cancel_and_retry(client: gpulab.Client, tmp_path: Path) -> None:
    job = client.submit("probe", {"steps": 2, "gate": str(tmp_path / "never")})
    job.cancel()
    assert job.wait(timeout=60).state == "cancelled"
    again = job.retry()
    assert again.data.retry_of == job.id
    again.cancel().wait(timeout=60)


def test_refused_spec_names_field_limit_and_value(client: gpulab.Client) -> None:
    with pytest.raises(gpulab.InvalidRequest, match=r"spec\.steps: .*got -1"):
        client.submit("probe", {"steps": -1})
    with pytest.raises(gpulab.InvalidRequest, match="nothing"):
        client.submit("probe", {"nothing": 1})


def test_wait_goes_on_through_a_restart_of_the_api(lab: Lab, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    restarts = iter([True])
    with gpulab.Client(lab.url, lab.token) as client:
        job = client.submit("probe", {"steps": 2, "gate": str(gate)})

        def restart_once(seen: gpulab.Job) -> None:
            if seen.state == "running" and next(restarts, False):
                lab.kill("api")
                lab.start("api")
                gate.write_text("2")

        assert job.wait(timeout=90, on_change=restart_once).state == "succeeded"
    assert next(restarts, None) is None


def test_commands_on_a_real_lab(cli: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    submitted = cli("submit", "probe", "-p", "steps=3", "--name", "by command", "--wait", "--json")
    assert submitted.returncode == 0, submitted.stderr
    job = json.loads(submitted.stdout)
    assert job["result"]["total"] == 6
    assert "by command" in cli("status").stdout
    assert "probe begins" in cli("logs", "@last").stdout
    assert cli("get", job["id"], "--to", "files").stdout == "files/steps.csv\n"
    assert cli("watch", job["id"]).returncode == 0
    assert cli("queue", job["id"]).stdout == "This run is over: it succeeded.\n"
    assert cli("nodes").stdout.startswith("node-a  up")
    assert "probe" in cli("experiments").stdout
    assert "steps" in cli("experiments", "probe").stdout
    assert cli("cancel", job["id"]).returncode == 3
    assert cli("submit", "probe", "-p", "ending=error", "--wait").returncode == 1
