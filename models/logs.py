"""Structured logs: one event name, bound context, JSON unless a person is watching."""

import logging
import sys
from typing import Any

import orjson
import structlog


def configure_logs(*, json: bool | None = None, file: Any = None) -> None:
    """Set up structlog for a process; `json=None` decides by whether standard error is a terminal.

    `file` takes the lines in the place of standard error.
    """
    as_json = not sys.stderr.isatty() if json is None else json
    # Plain tracebacks: the fancy ones print local variables, and with them tokens and specs.
    for_people = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    renderer = structlog.processors.JSONRenderer(_as_json) if as_json else for_people
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr if file is None else file),
        cache_logger_on_first_use=True,
    )


def report_death(part: str, reason: str, error: BaseException | None) -> None:
    """Log what ends the program."""
    structlog.get_logger().critical("program.ends", part=part, reason=reason, exc_info=error)


def _as_json(event: dict[str, Any], *, default: Any) -> str:
    return orjson.dumps(event, default=default, option=orjson.OPT_NON_STR_KEYS).decode()
