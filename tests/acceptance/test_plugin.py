"""A package with an experiment and a question set: installed and run, alone and in a lab without the homework."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpulab.run.files import RECORDS_FILE
from gpulab.version import VERSION
from tests.lab import ROOT, Lab, gpulab_command

EXAMPLE = ROOT / "docs" / "example-experiment"
BROKEN = {
    "gpulab_missing": ("missing", "gpulab_missing.spec:EXPERIMENT", "import a_module_that_nobody_has\n"),
    "gpulab_nothing": ("nothing", "gpulab_nothing.spec:EXPERIMENT", "EXPERIMENT = 'no experiment'\n"),
    "gpulab_taken": (
        "taken",
        "gpulab_taken.spec:EXPERIMENT",
        """from dataclasses import replace
from experiments.catalog.train_classifier.spec import EXPERIMENT as THEIRS
EXPERIMENT = replace(THEIRS, title="mine now")
""",
    ),
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def _program(*arguments: str, cwd: Path, site: Path | None = None) -> str:
    path = f"{ROOT}:{site}" if site else str(ROOT)
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run([sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example, built and installed the ordinary way, and three packages that are broken."""
    folder = tmp_path_factory.mktemp("plugins")
    _program("-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder / "dist"), str(EXAMPLE), cwd=folder)
    (wheel,) = (folder / "dist").glob("*.whl")
    target = folder / "site"
    _program("-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(wheel), cwd=folder)
    for package, (name, value, code) in BROKEN.items():
        _install(target, package, f"[gpulab.experiments]\n{name} = {value}\n", code)
    _without_homework(target)
    return target


def _without_homework(target: Path) -> None:
    """Of several packages with a name the first on the path counts: this gpulab has no entry points."""
    information = target / f"gpulab-{VERSION}.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: gpulab\nVersion: {VERSION}\n")


def _install(target: Path, package: str, entry_points: str, code: str) -> None:
    (target / package).mkdir()
    (target / package / "__init__.py").touch()
    (target / package / "spec.py").write_text(code)
    information = target / f"{package}-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(entry_points)


@pytest.fixture(scope="module")
def plugin_lab(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("lab"), settings={"PYTHONPATH": f"{ROOT}:{site}"})
    try:
        yield made.start()
    finally:
        made.stop()


def test_registry_has_the_plugin_and_names_the_broken_ones(site: Path, tmp_path: Path) -> None:
    program = (
        "import json; from experiments.registry import broken, experiments\n"
        "print('\\n' + json.dumps([list(experiments()), {b.entry_point: b.reason for b in broken()},"
        " experiments()['train-classifier'].title]))"
    )
    slugs, broken, title = json.loads(_program("-c", program, cwd=tmp_path, site=site).splitlines()[-1])
    assert {"darts", "train-classifier"} <= set(slugs)
    assert "dropout-linear" not in slugs
    assert broken.keys() == {"missing", "nothing", "taken"}
    assert "a_module_that_nobody_has" in broken["missing"]
    assert "not an Experiment" in broken["nothing"]
    assert "train-classifier" in broken["taken"]
    assert title != "mine now"


def test_plugin_runs_without_a_lab(site: Path, tmp_path: Path) -> None:
    (tmp_path / "darts.yaml").write_text("experiment: darts\nspec: {darts: 200000}\nseed: 3\n")
    arguments = ("-m", "gpulab", "run", "darts.yaml", "--local", "--out", str(tmp_path / "run"))
    _program(*arguments, cwd=tmp_path, site=site)
    records = [json.loads(line) for line in (tmp_path / "run" / RECORDS_FILE).read_text().splitlines()]
    (result,) = [record for record in records if record["type"] == "result"]
    assert abs(result["value"]["pi"] - math.pi) < 5 * result["value"]["standard_error"]
    assert (tmp_path / "run" / "artifacts" / "estimate.png").read_bytes().startswith(b"\x89PNG")


def test_plugin_is_submitted_queued_run_and_shipped_by_a_lab(plugin_lab: Lab) -> None:
    job = plugin_lab.wait_for(plugin_lab.submit("darts", {"darts": 50_000, "rounds": 5}), "succeeded")
    assert abs(job["result"]["pi"] - math.pi) < 5 * job["result"]["standard_error"]
    artifacts = plugin_lab.client.get(f"/v1/jobs/{job['id']}/artifacts").json()["items"]
    assert [artifact["name"] for artifact in artifacts] == ["estimate.png"]
    metrics = plugin_lab.client.get(f"/v1/jobs/{job['id']}/metrics").json()
    assert "pi" in json.dumps(metrics)


def test_plugins_spec_is_validated_at_the_door(plugin_lab: Lab) -> None:
    answer = plugin_lab.client.post("/v1/jobs", json={"experiment": "darts", "spec": {"darts": 1}})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert (error["path"], error["value"]) == ("spec.darts", 1)
    schema = plugin_lab.client.get("/v1/experiments/darts").json()["spec_schema"]
    assert schema["properties"]["darts"]["description"] == "Darts thrown at the unit square."


def test_lab_starts_beside_broken_plugins_and_names_them(plugin_lab: Lab) -> None:
    listing = plugin_lab.client.get("/v1/experiments").json()
    assert {entry["entry_point"] for entry in listing["broken"]} == {"missing", "nothing", "taken"}
    assert "darts" in {entry["slug"] for entry in listing["items"]}
    refused = plugin_lab.client.post("/v1/jobs", json={"experiment": "dropout-linear", "spec": {}})
    assert refused.json()["type"].endswith("/unknown-experiment")


def test_question_set_of_a_plugin_is_reproduced_by_a_lab_without_the_homework(plugin_lab: Lab, tmp_path: Path) -> None:
    (question_set,) = plugin_lab.client.get("/v1/question-sets").json()["items"]
    assert (question_set["slug"], [one["template"] for one in question_set["questions"]]) == ("pi", ["pi/1a"])
    refused = plugin_lab.client.post("/v1/studies", json={"template": "course/1a"}).json()
    assert "known: pi/all, pi/1, pi/1a" in refused["errors"][0]["message"]
    environment = {**os.environ, "GPULAB_URL": plugin_lab.url, "GPULAB_TOKEN": plugin_lab.token}
    command = [*gpulab_command(), "reproduce", "--json", "--out", str(tmp_path / "report")]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (comparison,) = json.loads(done.stdout)["comparisons"]
    assert (comparison["question"], comparison["verdict"]) == ("1a", "agrees")
    assert comparison["ours"]["n"] == 2
    assert (tmp_path / "report" / "estimates.png").read_bytes().startswith(b"\x89PNG")


def test_question_set_of_a_plugin_is_answered_without_a_lab(site: Path, tmp_path: Path) -> None:
    _program("-m", "experiments.studies", "pi/1", "--scale", "smoke", "--out", "study", cwd=tmp_path, site=site)
    findings = json.loads((tmp_path / "study" / "findings.json").read_text())
    assert (findings["title"], findings["verdicts"]["agrees"]) == ("1. Random numbers", 1)
