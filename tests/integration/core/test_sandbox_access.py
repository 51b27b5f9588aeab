"""What a program's sandbox is made with: its GPUs and data sets, and the spare that waits for the next one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from gpulab.states import JobState
from sandbox import capability, mend
from tests.integration.core.sandboxed_node import Execute, Node, sandboxed_node
from tests.lab import wait_until
from worker.programs.spares import Spare, Spares

pytestmark = pytest.mark.skipif(capability() is not None, reason=f"{capability()}; {mend(capability() or '')}")


@pytest.fixture
def node(engine: Engine, execute: Execute, tmp_path: Path, make_job: Any, make_lease: Any) -> Iterator[Node]:
    with sandboxed_node(engine, execute, tmp_path, make_job, make_lease) as made:
        yield made


def test_it_sees_the_data_sets_that_it_names_and_no_others(node: Node, tmp_path: Path) -> None:
    for name in ("flowers", "secret", "cifar-10-batches-py"):
        (node.datasets / name).mkdir()
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "one").write_text("tulip")
    (node.datasets / "linked").symlink_to(tmp_path / "far")
    code = """
from gpulab import run
run.result({"seen": " ".join(sorted(run.datasets)), "linked": (run.datasets["linked"] / "one").read_text(),
            "batches": str((run.datasets["cifar10"] / "cifar-10-batches-py").is_dir())})
"""
    job = node.run(code, datasets=["flowers", "linked", "cifar10", "digits"])
    assert job.state == JobState.SUCCEEDED, job.output
    assert job.result | {"seen": "cifar10 flowers linked", "linked": "tulip", "batches": "True"} == job.result
    job = node.run("from gpulab import run\nrun.result({'seen': len(run.datasets)})")
    assert job.result["seen"] == 0


def test_spare_serves_one_run_and_is_replaced(node: Node) -> None:
    node.settings.runs_folder.mkdir(exist_ok=True)
    launcher = node.supervisor.launcher
    launcher.keep_spare([])
    spares = launcher.spares
    assert spares is not None
    try:
        wait_until(lambda: spares._spare is not None and spares._spare.is_ready())
        first = spares._spare
        assert first is not None
        job = node.run(
            "import os\nprint('hello')\nopen('/tmp/left', 'w')\nfrom gpulab import run\nrun.result({'n': 1})"
        )
        assert (job.state, job.result["n"]) == (JobState.SUCCEEDED, 1), job.output
        assert first.process.wait(0), "it ran in the spare"
        wait_until(lambda: spares._spare)
        assert spares._spare is not first
        job = node.run("import os\nfrom gpulab import run\nrun.result({'seen': os.path.exists('/tmp/left')})")
        assert job.result["seen"] is False
    finally:
        launcher.stop()


def test_spare_that_still_loads_torch_serves_the_run(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Spare, "is_ready", lambda _: False)
    node.settings.runs_folder.mkdir(exist_ok=True)
    launcher = node.supervisor.launcher
    launcher.keep_spare([])
    spares = launcher.spares
    assert spares is not None
    try:
        first = wait_until(lambda: spares._spare)
        assert first is not None
        job = node.run("from gpulab import run\nrun.result({'n': 1})")
        assert (job.state, job.result["n"]) == (JobState.SUCCEEDED, 1), job.output
        assert first.process.wait(0), "it ran in the spare"
    finally:
        launcher.stop()


def test_spare_is_made_for_the_data_sets_of_the_last_program(node: Node) -> None:
    (node.datasets / "flowers").mkdir()
    node.settings.runs_folder.mkdir(exist_ok=True)
    spares = Spares(node.supervisor.launcher.sandbox, node.settings.runs_folder, None)
    spares.start([])
    try:
        wait_until(lambda: spares._spare)
        assert spares.take([], ["flowers"]) is None
        wait_until(lambda: spares._spare is not None and spares._spare.access.datasets)
        spare = spares.take([], ["flowers"])
        assert spare is not None
        spare.drop()
        wait_until(lambda: spares._spare)
        (node.datasets / "flowers").rename(node.datasets / "old flowers")
        (node.datasets / "flowers").mkdir()
        assert spares.take([], ["flowers"]) is None, "its data set was replaced since"
    finally:
        spares.stop()


def test_spare_for_other_gpus_is_not_taken(node: Node) -> None:
    node.settings.runs_folder.mkdir(exist_ok=True)
    spares = Spares(node.supervisor.launcher.sandbox, node.settings.runs_folder, None)
    spares.start([])
    try:
        wait_until(lambda: spares._spare)
        assert spares.take(["GPU-of-another-lease"]) is None
    finally:
        spares.stop()
