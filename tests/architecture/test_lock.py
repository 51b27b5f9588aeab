"""`requirements.lock` is what everybody installs: it must match pyproject.toml and work with any package index."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


def locked() -> dict[str, Requirement]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    found = [Requirement(line.partition("#")[0].strip()) for line in lines]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def test_every_package_of_the_project_is_locked_at_a_version_it_accepts() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [Requirement(line) for extra in project["optional-dependencies"].values() for line in extra]
    wanted += [Requirement(line) for line in project["dependencies"]]
    pins = locked()
    for requirement in wanted:
        name = canonicalize_name(requirement.name)
        if name != "gpulab":
            (pin,) = pins[name].specifier
            assert requirement.specifier.contains(pin.version), f"make lock: {requirement} is locked at {pin.version}"


def test_lock_holds_names_and_exact_versions_alone() -> None:
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        assert re.match(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+ +[#;]", line), line
