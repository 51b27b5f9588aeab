"""The packages that a program finds on this machine. Read from their metadata; nothing of them is imported."""

import platform
from importlib.metadata import distributions
from itertools import chain
from pathlib import Path
from typing import Any

MAX_PACKAGES = 2000
MAX_CHARACTERS = 200


def environment(extras: Path | None = None) -> dict[str, Any]:
    """Python's version, and each package's by its name; `extras` is a folder of further packages for programs.

    A package of the worker's own environment hides one of the same name among the extras, as it does for a program.
    """
    found: dict[str, str] = {}
    of_extras = distributions(path=[str(extras)]) if extras is not None and extras.is_dir() else ()
    for package in chain(distributions(), of_extras):
        name = package.metadata["Name"]
        if name and package.version and len(name) + len(package.version) <= MAX_CHARACTERS:
            found.setdefault(name, package.version)
    packages = dict(sorted(found.items(), key=lambda item: item[0].lower())[:MAX_PACKAGES])
    return {"python": platform.python_version(), "packages": packages}
