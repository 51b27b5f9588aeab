"""The first bytes of a connection to PostgreSQL: the gate puts the workers' role in the place of the user."""

import asyncio
import struct

from sqlalchemy import Connection, text

from server.embedded.account import WORKERS_ROLE

ROLE = WORKERS_ROLE
MAX_STARTUP_BYTES = 10_000
"""PostgreSQL's own limit."""
_SSL, _GSS, _CANCEL = 80_877_103, 80_877_104, 80_877_102
_MAJOR = 3
_NO = b"N"

WRITTEN = (
    "artifacts", "checkpoints", "deleted_files", "estimates", "gpu_minutes", "gpus", "job_events", "jobs",
    "lab_errors", "leases", "log_chunks", "measured_peaks", "metric_chunks", "node_events", "nodes", "phases",
    "program_uploads", "programs", "sample_chunks",
)  # fmt: skip
"""Tables that workers write."""
READ = (
    "assignments", "extensions", "node_tokens", "schema_version", "shares", "studies", "study_runs", "submissions",
    "users",
)  # fmt: skip
IN_PART = ("notification_channels", "notifications")
"""Written with the end of a run: who wants to hear of it, and never where it is sent."""
HIDDEN = (
    "audit_events", "banners", "browser_sessions", "course_members", "courses", "grades", "lab_hours", "past_use",
    "tokens",
)  # fmt: skip
"""Tables that are no worker's business. One that is named nowhere here is hidden, too."""

_ROLE_IF_MISSING = f"""
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{ROLE}') THEN CREATE ROLE {ROLE} LOGIN; END IF;
END $$
"""


class StartupError(Exception):
    """What came does not begin a connection to PostgreSQL."""


def grant(connection: Connection) -> None:
    """Make the role of workers that come through the gate. It reads and writes what runs need, and no credentials."""
    for statement in (
        _ROLE_IF_MISSING,
        f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {ROLE}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {', '.join(WRITTEN)} TO {ROLE}",
        f"GRANT SELECT ON {', '.join(READ)} TO {ROLE}",
        f"GRANT SELECT (user_id, channel, kinds) ON notification_channels TO {ROLE}",
        f"GRANT INSERT ON notifications TO {ROLE}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {ROLE}",
        # To lock a row asks for the right to update one of its columns: the storage quota locks its user.
        f"GRANT UPDATE (created_at) ON users TO {ROLE}",
    ):
        connection.execute(text(statement))


async def startup_of(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The first message, with the user replaced. Raises `StartupError`."""
    while True:
        try:
            (length,) = struct.unpack("!I", await reader.readexactly(4))
            if not 8 <= length <= MAX_STARTUP_BYTES:
                raise StartupError("its length is wrong")
            body = await reader.readexactly(length - 4)
        except asyncio.IncompleteReadError as error:
            raise StartupError("it is cut off") from error
        (code,) = struct.unpack("!I", body[:4])
        if code in {_SSL, _GSS}:
            writer.write(_NO)
        elif code == _CANCEL:
            return _framed(body)
        elif code >> 16 == _MAJOR:
            return _framed(body[:4] + _as_worker(body[4:]))
        else:
            raise StartupError("its protocol is unknown")


def _as_worker(parameters: bytes) -> bytes:
    words = parameters.split(b"\0")
    if parameters[-2:] != b"\0\0" or len(words) % 2:
        raise StartupError("its parameters are malformed")
    given = {name: value for name, value in zip(words[:-2:2], words[1:-2:2], strict=True) if name != b"replication"}
    given[b"user"] = ROLE.encode()
    return b"".join(name + b"\0" + value + b"\0" for name, value in given.items()) + b"\0"


def _framed(body: bytes) -> bytes:
    return struct.pack("!I", len(body) + 4) + body
