"""`python -m migrations`: wait for the database, a minute at most, then bring its schema to the newest version."""

import sys
import time

import structlog
from alembic import command
from alembic.script import ScriptDirectory
from pydantic import ValidationError
from sqlalchemy import Connection, text

from migrations.settings import VERSION_TABLE, config, engine
from models import lab_process
from models.lab_process import RefusedError
from models.logs import configure_logs
from models.outage import ONE_SHOT_SECONDS, persist, refuse_shared_sessions
from models.settings import DatabaseSettings

PAUSE_SECONDS = 0.2
OLDEST_SERVER = 180000
ONE_AT_A_TIME = 7_010_001
"""Advisory lock: two processes that upgrade at once take turns."""

UNRELEASED = (
    "this database was made before the first release of gpulab and cannot be upgraded. Keep its data with"
    " `gpulab backup` of the version that made it, then start this version on a new folder (`gpulab up --data FOLDER`)"
    " or a new database. Only that version restores the backup"
)

NEWER = (
    "the database was upgraded to schema {found} by a newer version of gpulab, and this version knows it up to {known}."
    " Start that version again, or restore a backup of this version into a new folder or database"
)

log = structlog.get_logger()


def upgrade(connection: Connection) -> None:
    """Bring the schema of `connection` to the newest version, beside processes that go on working.

    Raises `RefusedError` for a database from before the first release, or from a newer version.
    """
    if connection.execute(text("SELECT to_regclass('alembic_version')")).scalar() is not None:
        raise RefusedError(UNRELEASED)
    made = config()
    made.attributes["connection"] = connection
    # A session that waits for the lock itself would hold up the building of indexes, which waits for all sessions.
    while not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": ONE_AT_A_TIME}).scalar():
        connection.commit()
        time.sleep(PAUSE_SECONDS)
    try:
        _refuse_newer(connection, ScriptDirectory.from_config(made))
        command.upgrade(made, "head")
    finally:
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": ONE_AT_A_TIME})
        connection.commit()


def _refuse_newer(connection: Connection, known: ScriptDirectory) -> None:
    if connection.execute(text("SELECT to_regclass(:table)"), {"table": VERSION_TABLE}).scalar() is None:
        return
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 - a constant
    connection.commit()
    if found is not None and found not in {each.revision for each in known.walk_revisions()}:
        raise RefusedError(NEWER.format(found=found, known=known.get_current_head()))


def main() -> int:
    lab_process.take_no_options("migrations", "Bring the schema of DATABASE_URL to the newest version.")
    configure_logs()
    return lab_process.run(_upgrade, ValidationError)


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
