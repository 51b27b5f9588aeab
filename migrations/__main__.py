"""`python -m migrations`: wait for the database, then bring its schema to the newest version."""

import sys
import time

import structlog
from alembic import command
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from migrations.settings import config, engine
from models.logs import configure_logs

WAIT_SECONDS = 60.0
PAUSE_SECONDS = 0.2
OLDEST_SERVER = 180000
ONE_AT_A_TIME = 7_010_001
"""Advisory lock: two processes that upgrade at once take turns."""

log = structlog.get_logger()


def upgrade(connection: Connection) -> None:
    """Bring the schema of `connection` to the newest version, beside programs that go on working."""
    made = config()
    made.attributes["connection"] = connection
    # A session that waits for the lock itself would hold up the building of indexes, which waits for all sessions.
    while not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": ONE_AT_A_TIME}).scalar():
        connection.commit()
        time.sleep(PAUSE_SECONDS)
    try:
        command.upgrade(made, "head")
    finally:
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": ONE_AT_A_TIME})
        connection.commit()


def main() -> int:
    configure_logs()
    deadline = time.monotonic() + WAIT_SECONDS
    database = engine()
    while True:
        try:
            connection = database.connect()
            break
        except OperationalError as error:
            if time.monotonic() > deadline:
                log.error("database.unreachable", reason=str(error.orig).strip())  # noqa: TRY400 - the reason says it all
                return 1
            time.sleep(PAUSE_SECONDS)
    with connection:
        found = int(connection.execute(text("SHOW server_version_num")).scalar_one())
        if found < OLDEST_SERVER:
            log.error("database.too_old", found=found, needed=OLDEST_SERVER)
            return 1
        upgrade(connection)
    log.info("database.upgraded")
    return 0


if __name__ == "__main__":
    sys.exit(main())
