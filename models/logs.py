"""Structured logs: one event name, bound context, JSON unless a user is watching."""

import errno
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

import orjson
import structlog

from models.error_log import ERRORS, LIBRARY_FAILED, LIBRARY_WARNED

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})


def configure_logs(*, as_json: bool | None = None, file: Any = None) -> None:
    """Set up structlog for a process; `as_json=None` decides by whether standard error is a terminal.

    `file` takes the lines in the place of standard error.
    """
    as_json = not sys.stderr.isatty() if as_json is None else as_json
    # Plain tracebacks: the fancy ones print local variables, and with them tokens and specs.
    for_users = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    renderer = structlog.processors.JSONRenderer(_as_json) if as_json else for_users
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            ERRORS.note,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _LossyFile(sys.stderr if file is None else file))),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, _OfLibraries)] + [_OfLibraries()]


def report_death(part: str, reason: str, error: BaseException | None) -> None:
    """Log what ends the process."""
    structlog.get_logger().critical("process.ends", part=part, reason=reason, exc_info=error)


def _as_json(event: dict[str, Any], *, default: Any) -> str:
    try:
        return orjson.dumps(event, default=default, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:
        # A file's name that is not UTF-8, or a number beyond 64 bits: what a line holds must not end its thread.
        return json.dumps(event, default=default, skipkeys=True)


class _OfLibraries(logging.Handler):
    """What uvicorn, Celery and others log becomes a line like ours; their errors are the lab's."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        facts = {"name": record.name, "reason": record.getMessage()}
        if record.levelno >= logging.ERROR:
            log.error(LIBRARY_FAILED, **facts, exc_info=record.exc_info)
        else:
            log.warning(LIBRARY_WARNED, **facts)


class _LossyFile:
    """A disk that is full costs lines of the log, and never the process that writes them."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> None:
        with _without_room():
            self._file.write(text)

    def flush(self) -> None:
        with _without_room():
            self._file.flush()


@contextmanager
def _without_room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
