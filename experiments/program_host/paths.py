"""Where modules are found: the program's own first, the lab's and the administrator's extra packages last."""

import os
import sys
from pathlib import Path

ROOT = str(Path(__file__).parents[2])
OURS = ("experiments", "emulator")
EXTRAS_VARIABLE = "GPULAB_PROGRAM_PACKAGES"


def last_places() -> list[str]:
    """What comes after the environment: so an extra package never replaces one that the lab has."""
    extras = os.environ.get(EXTRAS_VARIABLE)
    return [ROOT, *([extras] if extras else [])]


def stand_behind(folder: Path) -> None:
    """Let the modules in a program's folder come first, in the place of the host's own.

    A program may have packages that are called as the lab's are; then those of the lab step aside.
    """
    if sys.path[0] in ("", ROOT):
        del sys.path[0]
    sys.path.insert(0, str(folder))
    sys.path += [place for place in last_places() if place not in sys.path]
    for name in OURS:
        if (folder / name).is_dir() or (folder / f"{name}.py").is_file():
            for module in [each for each in sys.modules if each.partition(".")[0] == name]:
                del sys.modules[module]
