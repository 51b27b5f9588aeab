"""Lines of the log: whatever they hold, and wherever they go, the process goes on."""

import errno
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from models.error_log import ERRORS
from models.logs import configure_logs


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    kept = structlog.get_config()
    yield
    structlog.configure(**kept)


@pytest.mark.parametrize("value", ["caf\udce9", 2**70, {"\udce9": [2**64]}, object(), float("nan")])
def test_a_line_may_hold_anything(value: object) -> None:
    lines = io.StringIO()
    configure_logs(as_json=True, file=lines)
    structlog.get_logger().warning("tried", value=value)
    found = json.loads(lines.getvalue())
    assert found["event"] == "tried"
    assert "value" in found


def test_what_libraries_log_is_a_line_like_ours_and_their_errors_are_kept() -> None:
    lines = io.StringIO()
    root = logging.getLogger()
    handlers = list(root.handlers)
    ERRORS.take()
    try:
        configure_logs(as_json=True, file=lines)
        configure_logs(as_json=True, file=lines)
        logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
        try:
            raise ValueError("odd")
        except ValueError:
            logging.getLogger("celery.worker").exception("consumer: cannot connect to redis://:%s@host", "pw")
        logging.getLogger("noisy").info("not shown")
    finally:
        root.handlers = handlers
    warned, failed = map(json.loads, lines.getvalue().splitlines())
    assert (warned["event"], warned["name"]) == ("library.warned", "uvicorn.error")
    assert (failed["event"], "ValueError: odd" in failed["exception"]) == ("library.failed", True)
    (kept,) = ERRORS.take()
    assert (kept.event, kept.message) == (
        "library.failed",
        "celery.worker: consumer: cannot connect to redis://***@host",
    )


def test_a_traceback_may_name_a_file_that_is_not_utf_8(tmp_path: Path) -> None:
    lines = io.StringIO()
    configure_logs(as_json=True, file=lines)
    try:
        (tmp_path / "caf\udce9").read_bytes()
    except FileNotFoundError:
        structlog.get_logger().exception("read")
    assert "FileNotFoundError" in json.loads(lines.getvalue())["exception"]


class FullDisk(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, f"no room for {len(text)} characters")


def test_a_full_disk_costs_lines_and_no_program() -> None:
    configure_logs(as_json=True, file=FullDisk())
    structlog.get_logger().warning("tried")
