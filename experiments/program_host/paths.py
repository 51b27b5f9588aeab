"""Where modules are found: the program's own first, the lab's and the administrator's extra packages last."""

import os
import sys
from pathlib import Path

ROOT = str(Path(__file__).parents[2])
OURS = ("experiments", "emulator")
OF_A_SPARE = ("torch", "numpy")
"""What a spare process has loaded for programs."""
EXTRAS_VARIABLE = "GPULAB_PROGRAM_PACKAGES"


def last_places() -> list[str]:
    """What comes after the environment: so an extra package never replaces one that the lab has."""
    extras = os.environ.get(EXTRAS_VARIABLE)
    return [ROOT, *([extras] if extras else [])]


def stand_behind(folder: Path) -> None:
    """Let the modules in a program's folder come first, in the place of the host's own.

    A program may have modules that are called as those that are loaded; then the loaded ones step aside.
    """
    if sys.path[0] in ("", ROOT):
        del sys.path[0]
    sys.path.insert(0, str(folder))
    sys.path += [place for place in last_places() if place not in sys.path]
    for name in (*OURS, *OF_A_SPARE):
        if (folder / name).is_dir() or (folder / f"{name}.py").is_file():
            for module in [each for each in sys.modules if each.partition(".")[0] == name]:
                del sys.modules[module]
