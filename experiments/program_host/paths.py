"""Where modules are found: the program's own first, the lab's last."""

import sys
from pathlib import Path

ROOT = str(Path(__file__).parents[2])
OURS = ("experiments", "emulator")


def stand_behind(folder: Path) -> None:
    """Let the modules in a program's folder come first. The first entry of the path is given up for it.

    A program may have packages that are called as the lab's are; then those of the lab step aside.
    """
    sys.path[0] = str(folder)
    if ROOT not in sys.path:
        sys.path.append(ROOT)
    for name in OURS:
        if (folder / name).is_dir() or (folder / f"{name}.py").is_file():
            for module in [each for each in sys.modules if each.partition(".")[0] == name]:
                del sys.modules[module]
