"""`python -m worker`: serve this node until SIGTERM or SIGINT."""

import sys

from pydantic import ValidationError

import emulator
from models import lab_process
from models.logs import configure_logs
from models.settings import NodeSettings
from worker.app import Worker


def main() -> int:
    lab_process.take_no_options(
        "worker", "Serve this node until SIGTERM or SIGINT. Settings come from the environment."
    )
    configure_logs()
    return lab_process.run(_serve, ValidationError, emulator.BuildError, emulator.RefusedError)


def _serve() -> int:
    settings = NodeSettings()
    if settings.emulate:
        # Before anything asks for a driver, and before the zygote, whose torch needs it from its first line.
        emulator.serve(settings.emulate)
    return Worker(settings).run()


if __name__ == "__main__":
    sys.exit(main())
