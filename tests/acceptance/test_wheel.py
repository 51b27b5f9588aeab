"""The wheel a student installs: only the public face, no server package, and a command that works."""

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.lab import ROOT, Lab

SERVER_PACKAGES = {"fastapi", "sqlalchemy", "celery", "torch", "psycopg", "redis", "uvicorn", "numpy"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = folder.glob("gpulab-*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an empty environment with the wheel and what it needs, found the ordinary way."""
    folder = tmp_path_factory.mktemp("student")
    venv.create(folder, with_pip=True, symlinks=True)
    command = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "bin"


def test_wheel_holds_only_the_public_face(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"gpulab"}


def test_no_server_package_comes_along(installed: Path) -> None:
    listed = subprocess.run(
        [installed / "python", "-m", "pip", "list", "--format=json"], capture_output=True, text=True, check=True
    )
    names = {package["name"].lower() for package in json.loads(listed.stdout)}
    assert "gpulab" in names
    assert names & SERVER_PACKAGES == set()


def test_installed_command_talks_to_a_lab(installed: Path, lab: Lab, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GPULAB_URL": lab.url, "GPULAB_TOKEN": lab.token}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(installed / "gpulab"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=60)

    assert "experiments" in run("--help").stdout
    assert run("--version").stdout.startswith("gpulab ")
    assert "probe" in [found["slug"] for found in json.loads(run("experiments", "--json").stdout)]
    finished = json.loads(run("submit", "probe", "-p", "steps=3", "--wait", "--json").stdout)
    assert finished["result"]["total"] == 6


def test_server_side_commands_say_what_is_missing(installed: Path, tmp_path: Path) -> None:
    command = [str(installed / "gpulab"), "run", "echo", "--local"]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert ran.returncode == 2
    assert "run --local needs a checkout of gpulab" in ran.stderr


def test_every_module_of_the_wheel_imports_without_the_server(installed: Path, tmp_path: Path) -> None:
    code = (
        "import importlib, pkgutil, gpulab\n"
        "names = [m.name for m in pkgutil.walk_packages(gpulab.__path__, 'gpulab.') if '__main__' not in m.name]\n"
        "[importlib.import_module(name) for name in names]\n"
        "print(len(names))"
    )
    done = subprocess.run([installed / "python", "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20
