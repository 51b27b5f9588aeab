"""What programs find installed is read from metadata, and extra packages add to it."""

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path

from experiments.environment import environment
from tests.unit.programs.hosting import run_script


def package(folder: Path, name: str, number: str, code: str = "") -> None:
    info = folder / f"{name}-{number}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {number}\n")
    (folder / f"{name}.py").write_text(code)


def test_packages_are_those_of_the_worker_and_the_extras_that_it_lacks(tmp_path: Path) -> None:
    package(tmp_path, "an_extra", "1.5")
    package(tmp_path, "torch", "0.1")
    found = environment(tmp_path)
    assert found["python"] == platform.python_version()
    assert found["packages"]["an_extra"] == "1.5"
    assert found["packages"]["torch"] == version("torch")
    plain = environment()["packages"]
    assert "an_extra" not in plain
    assert list(plain) == sorted(plain, key=str.lower)
    assert environment(tmp_path / "not-there")["packages"] == plain
    assert len(json.dumps(found)) < 100_000


def test_program_imports_an_extra_package_and_none_in_place_of_another(tmp_path: Path) -> None:
    package(tmp_path / "extras", "an_extra", "1.5", "VALUE = 7")
    package(tmp_path / "extras", "numpy", "0.1", "raise ImportError('the wrong one')")
    program = "import an_extra, numpy\nfrom gpulab import run\nrun.result({'value': an_extra.VALUE})"
    extras = {"GPULAB_PROGRAM_PACKAGES": os.fspath(tmp_path / "extras")}
    found = run_script(tmp_path, {"train.py": program}, env=extras)
    assert found.end.get("value") == {"value": 7}, found.output
