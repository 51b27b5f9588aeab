"""`python -m migrations`: wait for the database, then bring its schema to the newest version."""

import sys
import time

import structlog
from alembic import command
from psycopg.errors import LockNotAvailable
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, OperationalError

from migrations.settings import config, engine
from models.logs import configure_logs

WAIT_SECONDS = 60.0
ATTEMPTS = 30
PAUSE_SECONDS = 1.0
"""Between two attempts, so that who queued behind the first gets on."""
OLDEST_SERVER = 180000
ONE_AT_A_TIME = 7_010_001
"""Advisory lock: two processes that upgrade at once take turns."""

log = structlog.get_logger()


def upgrade(connection: Connection) -> None:
    """Bring the schema of `connection` to the newest version. A migration that gets no lock is tried again."""
    made = config()
    made.attributes["connection"] = connection
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ONE_AT_A_TIME})
    try:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                command.upgrade(made, "head")
                break
            except DBAPIError as error:
                if attempt == ATTEMPTS or not isinstance(error.orig, LockNotAvailable):
                    raise
                connection.rollback()
                log.warning("migration.waits", reason="somebody holds a lock that it needs", attempt=attempt)
                time.sleep(PAUSE_SECONDS)
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
            time.sleep(0.2)
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
