"""Emulated cards for any program.

python -m emulator T4,T4 -- COMMAND...            run it on two T4
python -m emulator T4,T4 --or-real -- COMMAND...  the same, but on the real GPU of a machine that has one
python -m emulator build                          compile ahead of the first use
"""

import subprocess
import sys

from emulator.build import BuildError, build
from emulator.loading import RefusedError, start

OR_REAL = "--or-real"


def main(arguments: list[str]) -> int:
    if arguments == ["build"]:
        return _build()
    if len(arguments) < 2:
        print(__doc__, file=sys.stderr)  # noqa: T201 - a command of its own
        return 2
    names, *command = arguments
    or_real = command[0] == OR_REAL
    command = [argument for at, argument in enumerate(command) if at > 1 or argument not in {OR_REAL, "--"}]
    try:
        start(names)
    except (BuildError, RefusedError, ValueError) as error:
        if or_real and isinstance(error, RefusedError):
            return subprocess.call(command)
        print(error, file=sys.stderr)  # noqa: T201 - a command of its own
        return 2
    return subprocess.call(command)


def _build() -> int:
    try:
        print(build())  # noqa: T201 - what a Makefile shows
    except BuildError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command of its own
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
