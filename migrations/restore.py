"""`python -m migrations.restore FOLDER`: a backup into an empty database and a store of files.

Everything is checked against the manifest before anything is written, and the rows are counted after.
"""

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from migrations.backup import (
    DUMP,
    FILES,
    BackupError,
    BackupSettings,
    count_rows,
    made_on,
    pg_tool,
    summary,
)
from migrations.verify import checked
from models.logs import configure_logs
from models.outage import ONE_SHOT_SECONDS, persist
from models.store import open_store


def restore(settings: BackupSettings, folder: Path) -> dict[str, Any]:
    """Bring a backup back; returns its manifest. Raises `BackupError` with nothing changed where it cannot be."""
    manifest = checked(folder)
    connect = partial(psycopg.connect, settings.libpq_url)
    with persist(connect, limit_seconds=ONE_SHOT_SECONDS) as connection:
        if found := count_rows(connection):
            raise BackupError(
                f"the database is not empty, it has the tables {', '.join(found)}: restore into a new one"
            )
    store = open_store(settings.artifacts_url)
    for file in manifest["files"]:
        store.put(file["key"], folder / FILES / file["key"])
    pg_tool(
        "pg_restore", settings.libpq_url, "--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges",
        f"--dbname={_database(settings)}", str(folder / DUMP),
    )  # fmt: skip
    with psycopg.connect(settings.libpq_url, autocommit=True) as connection:
        counted = count_rows(connection)
        connection.execute("ANALYZE")
    if counted != manifest["tables"]:
        raise BackupError(f"the rows differ from those of the backup: {counted} for {manifest['tables']}")
    return manifest


def _database(settings: BackupSettings) -> str:
    return psycopg.conninfo.conninfo_to_dict(settings.libpq_url)["dbname"]  # type: ignore[return-value] # an address has one


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m migrations.restore", description="Restore a backup into a new, empty lab."
    )
    parser.add_argument("folder", type=Path, help="the backup's folder")
    folder: Path = parser.parse_args().folder
    configure_logs()
    try:
        manifest = restore(BackupSettings(), folder)
    except (BackupError, psycopg.Error, OSError) as error:
        print(f"The restore failed: {str(error).strip()}", file=sys.stderr)
        return 1
    print(f"Restored {summary(manifest)} from the backup {made_on(manifest)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
