"""`python -m experiments.program_host`: run the program that the order in the run directory names.

With `--spare` it loads torch first, says so by one byte on a file descriptor, and waits for a line on its input: a JSON
object, perhaps with `cuda_visible_devices`, once the order and the program's files are in their places; or the end.
"""

import argparse
import gc
import json
import os
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from experiments.hosting.pages import let_go_of_files
from experiments.program_host.host import execute
from experiments.versions import versions


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.program_host", description=__doc__)
    parser.add_argument("--run-directory", type=Path, default=Path("/run/gpulab"))
    parser.add_argument("--work", type=Path, default=Path("/work"), help="folder with the program's files")
    parser.add_argument("--spare", action="store_true", help="load torch, then wait for a line on the input")
    parser.add_argument("--ready-fd", type=int, help="where a spare writes that it is ready")
    chosen = parser.parse_args()
    environment: dict[str, str] = {}
    if chosen.spare:
        _warm()
        if chosen.ready_fd is not None:
            with suppress(BrokenPipeError):  # taken before it was ready, and nobody listens any more
                os.write(chosen.ready_fd, b"y")
            os.close(chosen.ready_fd)
        line = sys.stdin.readline()
        if not line.strip():
            return 0
        said = json.loads(line)
        if "cuda_visible_devices" in said:
            environment["CUDA_VISIBLE_DEVICES"] = str(said["cuda_visible_devices"])
    _close_input()
    return execute(chosen.run_directory.resolve(), chosen.work.resolve(), environment)


def _warm() -> None:
    """Load what programs import first; CUDA is not touched, so that the process can still fork."""
    # NumPy loads its generators when they are seeded, which would be in the program's first moment.
    modules = ("torch", "numpy.random", "experiments.program_host.script", "experiments.program_host.notebook")
    gc.disable()  # nothing that imports make is garbage, and looking for some is a tenth of what they cost
    for name in (*modules, "experiments.program_host.memory_hooks"):
        # An environment without one of them still runs programs that do not need it.
        with suppress(ImportError):
            import_module(name)
    versions()
    gc.collect()
    gc.freeze()
    gc.enable()
    let_go_of_files()


def _close_input() -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


if __name__ == "__main__":
    sys.exit(main())
