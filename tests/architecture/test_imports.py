"""The import rules fail when broken, and the processes that serve users never load torch."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

TORCH_FREE = {
    "api": "import api.app, api.__main__",
    "scheduler": "import scheduler.loop, scheduler.__main__",
    "worker's parent": "import worker.app, worker.__main__",
    "registry": "from experiments.registry import experiments; assert experiments()",
    "studies": "from experiments.studies.question_sets import question_sets; assert question_sets()",
    "migrations": "import migrations.__main__",
    "client": "import gpulab, gpulab.cli, gpulab.client",
}


def run(code: str, *, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("program", TORCH_FREE)
def test_never_loads_torch(program: str) -> None:
    look = "import sys\nheavy = {'torch', 'torchvision'} & sys.modules.keys()\nassert not heavy, heavy"
    done = run(f"{TORCH_FREE[program]}\n{look}")
    assert done.returncode == 0, done.stderr


def test_public_face_loads_no_server_package() -> None:
    banned = "{'fastapi', 'sqlalchemy', 'celery', 'redis', 'psycopg', 'torch', 'numpy'}"
    done = run(f"import gpulab.cli, gpulab.client, sys\nfound = {banned} & sys.modules.keys()\nassert not found, found")
    assert done.returncode == 0, done.stderr


def lint(folder: Path) -> "subprocess.CompletedProcess[str]":
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run([program, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False, timeout=110)


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("gpulab/states.py", "import models"),
        ("scheduler/planning/plan.py", "import sqlalchemy"),
        ("api/app.py", "import torch"),
        ("worker/agent.py", "import pynvml"),
        ("experiments/contract.py", "import models"),
        ("sandbox/policy.py", "import gpulab"),
        ("experiments/registry.py", "import homework"),
        ("api/app.py", "from homework import course"),
        ("homework/course.py", "import models"),
    ],
)
def test_contracts_fail_when_broken(tmp_path: Path, module: str, line: str) -> None:
    for package in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]:
        (tmp_path / package).symlink_to(ROOT / package)
    (tmp_path / "pyproject.toml").symlink_to(ROOT / "pyproject.toml")
    broken = tmp_path / module
    for folder in [*Path(module).parents][-2::-1]:
        (tmp_path / folder).unlink()
        (tmp_path / folder).mkdir()
        for part in (ROOT / folder).iterdir():
            (tmp_path / folder / part.name).symlink_to(part)
    broken.unlink()
    broken.write_text(f"{line}\n{(ROOT / module).read_text()}")
    done = lint(tmp_path)
    assert done.returncode == 1, done.stdout
    assert "BROKEN" in done.stdout
