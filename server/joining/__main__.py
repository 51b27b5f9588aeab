"""`python -m server.joining --data FOLDER`: serve a lab on another machine until SIGTERM or SIGINT.

`gpulab worker --join` becomes this. The line comes by GPULAB_JOIN, so that no list of processes shows the secret.
"""

import argparse
import os
import sys
from pathlib import Path

from gpulab.threads import exit_status
from server.joining.join_line import JoinLine, JoinLineError
from server.joining.joined import JoinedWorker, JoinError, join
from server.joining.membership import MembershipError

FAILED, REFUSED = 1, 2


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m server.joining", description="Run a worker of a shared lab.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--name")
    arguments = parser.parse_args()
    os.umask(0o077)
    folder: Path = arguments.data.absolute()
    try:
        text = os.environ.get("GPULAB_JOIN", "").strip()
        line = JoinLine.parse(text) if text else None
        folder.mkdir(parents=True, exist_ok=True)
        JoinedWorker(folder, join(folder, line, arguments.name, _say), _say).run(os.environ)
    except (JoinError, JoinLineError, MembershipError, OSError) as error:
        _say(f"gpulab worker: {error}")
        return FAILED if isinstance(error, OSError) or not getattr(error, "is_final", True) else REFUSED
    return exit_status()


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)  # noqa: T201 - what a person reads


if __name__ == "__main__":
    sys.exit(main())
