"""`python -m migrations.check_settings`: whether the settings of all processes of a lab are valid, before any starts.

`gpulab up` runs it first: a wrong setting of one process is found while nothing is there yet.
"""

import os
import sys
from collections.abc import Callable

import structlog
from pydantic import ValidationError

import emulator
from models.lab_process import REFUSED, take_no_options
from models.logs import configure_logs
from models.settings import ApiSettings, NodeSettings, SchedulerSettings, wrong_variables

SERVERS = {"DATABASE_URL": "postgresql://", "REDIS_URL": "redis://"}
"""In place of the embedded servers, which are not up yet."""


def main() -> int:
    take_no_options("migrations.check_settings", "Check the settings of API, scheduler and worker.")
    configure_logs()
    for name, value in SERVERS.items():
        os.environ.setdefault(name, value)
    if not (wrong := faults()):
        return 0
    structlog.get_logger().error("process.refused", reason="; ".join(wrong))
    return REFUSED


def faults() -> list[str]:
    """What is wrong with the settings in the environment, each fault once."""
    checks: tuple[Callable[[], object], ...] = (ApiSettings, SchedulerSettings, NodeSettings, _emulated)
    return list(dict.fromkeys(words for check in checks if (words := _fault(check)) is not None))


def _fault(check: Callable[[], object]) -> str | None:
    try:
        check()
    except ValidationError as error:
        return wrong_variables(error)
    except (emulator.BuildError, emulator.RefusedError) as error:
        return str(error)
    return None


def _emulated() -> None:
    if names := os.environ.get("GPULAB_EMULATE"):
        emulator.check(names)


if __name__ == "__main__":
    sys.exit(main())
