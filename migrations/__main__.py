"""`python -m migrations`: wait for the database, a minute at most, then bring its schema to the newest version."""

import sys
import time

import structlog
from alembic import command
from pydantic import ValidationError
from sqlalchemy import Connection, text

from migrations.settings import config, engine
from models import program
from models.logs import configure_logs
from models.outage import ONE_SHOT_SECONDS, persist, refuse_shared_sessions
from models.settings import DatabaseSettings

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
    program.take_no_options("migrations", "Bring the schema of DATABASE_URL to the newest version.")
    configure_logs()
    return program.run(_upgrade, ValidationError)


def _upgrade() -> int:
    url = DatabaseSettings().libpq_url
    persist(lambda: refuse_shared_sessions(url), limit_seconds=ONE_SHOT_SECONDS)
    with persist(engine().connect, limit_seconds=ONE_SHOT_SECONDS) as connection:
        found = int(connection.execute(text("SHOW server_version_num")).scalar_one())
        if found < OLDEST_SERVER:
            log.error("database.too_old", found=found, needed=OLDEST_SERVER)
            return 1
        upgrade(connection)
    log.info("database.upgraded")
    return 0


if __name__ == "__main__":
    sys.exit(main())
