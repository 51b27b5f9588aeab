"""An extra brings all that its programs import: here everything is installed, in an image only the extra is."""

import subprocess
import sys
import tomllib
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
# Celery looks its transport up when it is first used.
RUN = """
import pkgutil, sys
from importlib import import_module

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
for program in programs:
    package = import_module(program)
    for module in pkgutil.walk_packages(package.__path__, f"{program}."):
        # The one is run as a program, the other by Alembic.
        if not module.name.endswith((".__main__", ".env")):
            import_module(module.name)
from kombu import Connection
Connection("redis://localhost").transport
"""


def brought(extra: str) -> set[str]:
    """Distributions that installing the extra installs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {"": project["dependencies"], **project["optional-dependencies"]}
    todo = [Requirement(line) for line in (*extras[""], *extras[extra])]
    seen: set[str] = set()
    while todo:
        requirement = todo.pop()
        if requirement.name == "gpulab":
            todo += [Requirement(line) for of in requirement.extras for line in extras[of]]
        elif str(requirement) not in seen:
            seen.add(str(requirement))
            asked = requirement.extras or {""}
            below = [Requirement(line) for line in distribution(requirement.name).requires or ()]
            todo += [
                one for one in below if one.marker is None or any(one.marker.evaluate({"extra": of}) for of in asked)
            ]
    return {canonicalize_name(Requirement(line).name) for line in seen}


@pytest.mark.parametrize(
    ("extra", "programs"), [("server", ("api", "gate", "scheduler", "migrations", "models")), ("worker", ("worker",))]
)
def test_extra_brings_what_its_programs_import(extra: str, programs: tuple[str, ...]) -> None:
    there = brought(extra) | {"gpulab", "pip", "setuptools"}
    absent = {
        name
        for name, sources in packages_distributions().items()
        if there.isdisjoint(canonicalize_name(source) for source in sources)
    }
    code = f"programs, absent = {programs!r}, {absent!r}\n{RUN}"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
