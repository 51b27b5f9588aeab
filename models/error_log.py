"""What fails in the lab itself, not in runs: taken from each process's log, grouped, and kept in the database.

`ERRORS.note` is a processor of the log. `keeping` writes what it collected every few seconds, and once more at the end.
While the database is away the groups wait here. Both places are bounded.
"""

import os
import re
import socket
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from threading import Event, Lock
from typing import Any
from urllib.parse import unquote, urlsplit

from psycopg import Error as PsycopgError
from sqlalchemy import Engine, NullPool, create_engine
from sqlalchemy.exc import SQLAlchemyError

from gpulab.threads import VitalThread
from models.composed import run
from models.database import WATCHFUL, settings_of
from models.statements import lab_errors

MAX_WAITING = 200
"""Groups that wait for the database; more are dropped, since the first ones say why."""
MAX_MESSAGE = 500
MAX_LOOKED_THROUGH = 2000
FLUSH_SECONDS = 3.0
LEVELS = frozenset({"warning", "error", "critical"})
LIBRARY_FAILED, LIBRARY_WARNED = "library.failed", "library.warned"
"""What libraries log. Their warnings are often about one client, such as a malformed request."""
OF_RUNS = frozenset(
    {
        *("attempt.superseded", "checkpoint.bytes_missing", "lease.gone", "limit.exceeded", "orphan.ended"),
        *("program.limit_exceeded", "record.refused", "reservation.broken", "stream.ended", "workload.failed"),
        *("estimate.handed_on", "estimate.too_late", "verdict.left_for_the_next_worker", "notice.unreadable"),
        *("limits.shared", LIBRARY_WARNED),
    }
)
"""Events about one run or one request, which its user sees; or that need no action."""
SECRETS = (
    (re.compile(r"(://)[^\s/@]+@"), r"\1***@"),
    (re.compile(r"glab_[\w-]+"), "glab_***"),
    (re.compile(r"(?i)\b(bearer)\s+\S+"), r"\1 ***"),
    (re.compile(r"(?i)((?:password|passwd|secret|token|api[_-]?key))(['\"]?\s*[=:]\s*)\S+"), r"\1\2***"),
)
VARYING = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\b(?=\w*\d)[0-9a-f]{8,}\b|0x[0-9a-f]+|\d+(?:[.,:]\d+)*", re.IGNORECASE)
"""Ids and numbers: messages that differ in nothing else are alike."""


@dataclass(frozen=True)
class Group:
    """Errors that are alike."""

    fingerprint: str
    process: str
    event: str
    message: str
    host: str
    is_warning: bool
    count: int
    first_at: datetime
    last_at: datetime


class ErrorLog:
    """Collects. Any thread may note."""

    def __init__(self) -> None:
        self.process = "gpulab"
        self.host = os.environ.get("GPULAB_NODE") or socket.gethostname()
        self._waiting: dict[str, Group] = {}
        self._lock = Lock()
        self.noted = Event()

    def note(self, _logger: Any, method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Take an error from a line of the log, and leave the line as it is."""
        if method in LEVELS | {"exception"} and line["event"] not in OF_RUNS:
            self._add(str(line["event"]), message_of(line), is_warning=method == "warning")
        return line

    def take(self) -> list[Group]:
        """What was noted since, for the database."""
        with self._lock:
            found, self._waiting = list(self._waiting.values()), {}
            self.noted.clear()
        return found

    def put_back(self, groups: list[Group]) -> None:
        """The database did not take them."""
        with self._lock:
            for group in groups:
                self._waiting[group.fingerprint] = _joined(group, self._waiting.get(group.fingerprint))
            # Else they would wait for the next error.
            self.noted.set()

    def _add(self, event: str, message: str, *, is_warning: bool) -> None:
        now = datetime.now(UTC)
        alike = VARYING.sub("#", f"{self.process}\0{event}\0{message}")
        key = sha256(alike.encode(errors="replace")).hexdigest()[:32]
        new = Group(key, self.process, event, message, self.host, is_warning, 1, now, now)
        with self._lock:
            known = self._waiting.get(key)
            if known is not None:
                self._waiting[key] = _joined(known, new)
            elif len(self._waiting) < MAX_WAITING:
                self._waiting[key] = new
            self.noted.set()


ERRORS = ErrorLog()
"""Of this process."""
_remembered: set[str] = set()
"""Secrets that stood in the environment when `keeping` began."""


def message_of(line: Mapping[str, Any]) -> str:
    """What the line says for a person, without secrets."""
    said = str(line.get("reason") or _exception(line.get("exc_info")) or "")
    about = [str(line[name]) for name in ("name", "node", "fault", "part") if line.get(name)]
    text = ": ".join([*about, said] if said else about)
    # Cut to what is looked through, and cut again: half a secret at the first cut is beyond the second.
    shown = without_secrets(" ".join(text[:MAX_LOOKED_THROUGH].split())).replace("\0", "")
    # PostgreSQL takes no lone surrogate, such as one of a file's name.
    return shown.encode(errors="backslashreplace").decode()[:MAX_MESSAGE]


def without_secrets(text: str) -> str:
    for value in sorted(_remembered | _own_passwords(), key=len, reverse=True):
        text = text.replace(value, "***")
    for pattern, instead in SECRETS:
        text = pattern.sub(instead, text)
    return text


@contextmanager
def keeping(process: str) -> Iterator[None]:
    """Keep the errors of this process in the database of the environment, if there is one."""
    ERRORS.process = process
    url = os.environ.get("DATABASE_URL", "")
    if not url:
        yield
        return
    # A worker takes them out of its environment before its first job.
    _remembered.update(_own_passwords())
    stop = Event()
    engine = engine_for(url)
    thread = VitalThread("errors", lambda: _keep(engine, stop), until=stop)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        ERRORS.noted.set()
        thread.join(2 * FLUSH_SECONDS)
        _remembered.clear()


def flush(engine: Engine) -> bool:
    """Write what was noted; what the database does not take waits. Returns whether nothing does."""
    # In one order: processes that write the same groups wait for each other, and never both ways.
    groups = sorted(ERRORS.take(), key=lambda group: group.fingerprint)
    if not groups:
        return True
    try:
        with engine.begin() as connection:
            for group in groups:
                run(connection, lab_errors.keep, **vars(group))
            run(connection, lab_errors.trim)
    except (SQLAlchemyError, PsycopgError):
        ERRORS.put_back(groups)
        return False
    return True


def _keep(engine: Engine, stop: Event) -> None:
    while not stop.is_set():
        ERRORS.noted.wait()
        flush(engine)
        stop.wait(FLUSH_SECONDS)
    flush(engine)


def engine_for(url: str) -> Engine:
    """No connection is held between two writes."""
    rest = url.partition("://")[2]
    options = {**settings_of(f"postgresql://{rest}", WATCHFUL), "connect_timeout": 3}
    return create_engine(f"postgresql+psycopg://{rest}", poolclass=NullPool, connect_args=options)


def _joined(old: Group, new: Group | None) -> Group:
    if new is None:
        return old
    return replace(new, count=old.count + new.count, first_at=min(old.first_at, new.first_at))


def _exception(info: Any) -> str:
    error = sys.exc_info()[1] if info is True else info[1] if isinstance(info, tuple) else info
    if not isinstance(error, BaseException):
        return ""
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _own_passwords() -> set[str]:
    """The literal secrets of this process's environment."""
    found = [
        os.environ.get(name, "")
        for name in ("GPULAB_NODE_TOKEN", "GPULAB_OPENID_CLIENT_SECRET", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD")
    ]
    for name in ("DATABASE_URL", "REDIS_URL"):
        try:
            password = urlsplit(os.environ.get(name, "")).password
        except ValueError:
            continue
        found += [password or "", unquote(password or "")]
    return {value for value in found if len(value) >= 4}
