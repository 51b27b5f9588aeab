"""Emulated cards for any program.

python -m emulator T4,T4 -- COMMAND...            run it on two T4
python -m emulator T4,T4 --or-real -- COMMAND...  the same, but on the real GPU of a machine that has one
python -m emulator measure T4 -- train.py ARGS    measure its first training steps (--steps N --seconds S --json)
python -m emulator build                          compile ahead of the first use
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from emulator.build import BuildError, build
from emulator.loading import RefusedError, start
from emulator.measurement import Outcome
from emulator.measuring import DEFAULT_LIMIT_SECONDS, DEFAULT_STEPS, measure

EXIT_CODES = {Outcome.FITS: 0, Outcome.OUT_OF_MEMORY: 1, Outcome.NOT_PREDICTED: 3}
OR_REAL = "--or-real"


def main(arguments: list[str]) -> int:
    if arguments == ["build"]:
        return _build()
    if arguments[:1] == ["measure"]:
        return _measure(arguments[1:])
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


def _measure(arguments: Sequence[str]) -> int:
    at = arguments.index("--") if "--" in arguments else len(arguments)
    options, program = _measure_options().parse_args(arguments[:at]), list(arguments[at + 1 :])
    if program and Path(program[0]).name.startswith("python"):
        program = program[1:]
    try:
        found = measure(program, options.card, options.steps, limit_seconds=options.seconds)
    except (BuildError, RefusedError, ValueError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command of its own
        return 2
    print(json.dumps(found.as_json(), indent=2) if options.json else found)  # noqa: T201 - a command of its own
    return EXIT_CODES[found.outcome]


def _measure_options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m emulator measure",
        description="Measure the memory of a program's first training steps on an emulated card.",
        usage="%(prog)s CARD [--steps N] [--seconds S] [--json] -- train.py ARGUMENTS...",
    )
    parser.add_argument("card", help="such as T4")
    parser.add_argument("--steps", type=int, default=DEFAULT_STEPS, help="optimizer steps to wait for (%(default)s)")
    parser.add_argument("--seconds", type=float, default=DEFAULT_LIMIT_SECONDS, help="time limit (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _build() -> int:
    try:
        print(build())  # noqa: T201 - what a Makefile shows
    except BuildError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command of its own
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
