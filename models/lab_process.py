"""What every process does first."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import structlog
from pydantic import ValidationError

from gpulab.proxies import spare_loopback
from gpulab.threads import exit_status, report_with, watch_threads
from models.database import DATABASE_AWAY, first_line
from models.error_log import keeping
from models.logs import report_death
from models.settings import wrong_variables
from server.open_files import raise_file_limit

REFUSED = 2
"""Exit status of a process whose settings are at fault: another start would not help."""

log = structlog.get_logger()


class RefusedError(Exception):
    """The process cannot run as it is set up; the message says what to do."""


def take_no_options(module: str, description: str) -> None:
    """Answers `--help`, and refuses options, which would be ignored otherwise: the environment has the settings."""
    argparse.ArgumentParser(prog=f"python -m {module}", description=description).parse_args()


def run(main: Callable[[], int | None], *refusals: type[Exception]) -> int:
    """Run a process to its end, its logs set up already; returns its exit status.

    `refusals` are exceptions that say in one line what is wrong with the settings.
    """
    refused: tuple[type[Exception], ...] = (RefusedError, *refusals)
    report_with(report_death)
    spare_loopback()
    raise_file_limit()
    watch_threads()
    with keeping(own_name()):
        return _end_of(main, refused)


def own_name() -> str:
    """`worker` for `python -m worker`, `backup` for `python -m migrations.backup`."""
    path = Path(sys.argv[0])
    return path.parent.name if path.stem == "__main__" else path.stem


def _end_of(main: Callable[[], int | None], refused: tuple[type[Exception], ...]) -> int:
    try:
        return main() or exit_status()
    except refused as error:
        reason = wrong_variables(error) if isinstance(error, ValidationError) else str(error)
        log.error("process.refused", reason=reason)  # noqa: TRY400 - one line says it all
        return REFUSED
    except DATABASE_AWAY as error:
        log.error("database.away", reason=first_line(error))  # noqa: TRY400 - the reason says it all
        return 1
