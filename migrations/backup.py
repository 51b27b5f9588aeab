"""`python -m migrations.backup FOLDER`: the lab as it is at one moment, without stopping it.

One snapshot of the database is dumped by pg_dump and read for the keys of the files that it names; the files are copied
after it. A file is stored before the row that names it, so each of them is there, but for those that retention or a
newer file took away meanwhile, which the manifest lists. The manifest is written last: a folder without one is no
backup.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from pydantic_settings import SettingsConfigDict

from gpulab.cli.tables import byte_size
from gpulab.version import VERSION
from gpulab.words import counted
from models.error_log import ERRORS, keeping
from models.logs import configure_logs
from models.outage import ONE_SHOT_SECONDS, persist
from models.settings import DatabaseSettings
from models.store import open_store
from server.embedded import EmbeddedError, postgres_binaries

FORMAT = 2
MANIFEST = "manifest.json"
DUMP = "database.dump"
FILES = "artifacts"
CONNECTION_VARIABLES = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
}

FAILED = "The backup failed: "


class BackupError(RuntimeError):
    """No backup could be made, or the folder holds none that can be trusted; the message says why."""


class BackupSettings(DatabaseSettings):
    model_config = SettingsConfigDict(env_prefix="GPULAB_", frozen=True, populate_by_name=True)

    artifacts_url: str


def back_up(settings: BackupSettings, folder: Path) -> dict[str, Any]:
    """Write a whole backup into a new or empty folder; returns its manifest. Raises `BackupError`.

    What fails leaves the folder empty: a half backup would take the room that a disk lacks.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise BackupError(f"{folder} is not empty: name a new folder, or add --keep 7 to keep several in it")
    try:
        return _write(settings, folder)
    except BaseException:
        shutil.rmtree(folder / FILES, ignore_errors=True)
        for name in (DUMP, f".{MANIFEST}"):
            (folder / name).unlink(missing_ok=True)
        with suppress(OSError):
            folder.rmdir()
        raise


def _write(settings: BackupSettings, folder: Path) -> dict[str, Any]:
    connect = partial(psycopg.connect, settings.libpq_url)
    with persist(connect, limit_seconds=ONE_SHOT_SECONDS) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        snapshot = _scalar(connection, "SELECT pg_export_snapshot()")
        manifest = {
            "format": FORMAT,
            "made_at": datetime.now(UTC).isoformat(),
            "versions": {
                "gpulab": VERSION,
                "schema": _scalar(connection, "SELECT version_num FROM schema_version"),
                "postgresql": _scalar(connection, "SHOW server_version_num"),
            },
            "tables": count_rows(connection),
        }
        keys = _keys(connection)
        pg_tool("pg_dump", settings.libpq_url, "--format=custom", "--no-owner", "--no-privileges",
                f"--snapshot={snapshot}", f"--file={folder / DUMP}")  # fmt: skip
    manifest["database"] = {"size_bytes": (folder / DUMP).stat().st_size, "sha256": sha256_of(folder / DUMP)}
    manifest |= _copy_files(settings, folder / FILES, keys)
    draft = folder / f".{MANIFEST}"
    draft.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    draft.replace(folder / MANIFEST)
    return manifest


def count_rows(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """Rows of every table of the lab."""
    names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").fetchall()
    return {
        name: _scalar(connection, sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(name))) for (name,) in names
    }


def pg_tool(name: str, url: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs on a database. The password travels in the environment, where only we can see
    it. Raises `BackupError` with what it said."""
    given = conninfo_to_dict(url)
    env = {variable: str(given[key]) for key, variable in CONNECTION_VARIABLES.items() if given.get(key) is not None}
    argv = [_program(name), *arguments]
    done = subprocess.run(argv, env={**os.environ, **env}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BackupError(f"{name} ended with {done.returncode}: {done.stderr.strip()[-800:]}")


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _program(name: str) -> str:
    try:
        found = postgres_binaries() / name
    except EmbeddedError:
        found = Path(shutil.which(name) or "")
    if not found.is_file():
        raise BackupError(f"{name} is not installed: install PostgreSQL's client programs, 18 or newer")
    return str(found)


def _keys(connection: psycopg.Connection[Any]) -> Iterator[tuple[str, str | None]]:
    """Key and SHA-256 of every file that a row names; of a checkpoint and a program's archive no sum was kept."""
    query = (
        "SELECT key, max(sha256) FROM (SELECT key, sha256 FROM artifacts UNION ALL SELECT key, NULL FROM checkpoints"
        " UNION ALL SELECT 'programs/' || sha256 || '.tar', NULL FROM programs)"
    )
    return iter(connection.execute(f"{query} AS named GROUP BY key ORDER BY key").fetchall())


def _copy_files(settings: BackupSettings, folder: Path, keys: Iterator[tuple[str, str | None]]) -> dict[str, Any]:
    store = open_store(settings.artifacts_url)
    files: list[dict[str, Any]] = []
    missing: list[str] = []
    for key, expected in keys:
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        try:
            with path.open("wb") as file:
                for chunk in store.get(key).stream():
                    data = bytes(chunk)
                    digest.update(data)
                    file.write(data)
        except FileNotFoundError:
            path.unlink()
            missing.append(key)
            continue
        if expected is not None and digest.hexdigest() != expected:
            raise BackupError(f"the stored file {key} is not the one that its run wrote: its SHA-256 differs")
        files.append({"key": key, "size_bytes": path.stat().st_size, "sha256": digest.hexdigest()})
    return {"files": files, "missing": missing}


def _scalar(connection: psycopg.Connection[Any], query: Any) -> Any:
    row = connection.execute(query).fetchone()
    assert row is not None  # noqa: S101 - each of these has one row
    return row[0]


def summary(manifest: dict[str, Any]) -> str:
    """`52,234 rows and 101 files (1.2 GiB)`."""
    size = manifest["database"]["size_bytes"] + sum(file["size_bytes"] for file in manifest["files"])
    rows, files = counted(sum(manifest["tables"].values()), "row"), counted(len(manifest["files"]), "file")
    gone = len(manifest["missing"])
    return f"{rows} and {files} ({byte_size(size)})" + (f", without {counted(gone, 'deleted file')}" if gone else "")


def made_on(manifest: dict[str, Any]) -> str:
    """`made on 2026-11-30 at 03:00 UTC`."""
    return f"made on {datetime.fromisoformat(manifest['made_at']):%Y-%m-%d at %H:%M} UTC"


def _made(folder: Path) -> str:
    return f"Backed up {summary(back_up(BackupSettings(), folder))} to {folder}."


def _made_keeping(parent: Path, keep: int) -> str:
    from migrations.kept_backups import back_up_keeping

    kept = back_up_keeping(BackupSettings(), parent, keep)
    said = f"Backed up {summary(kept.manifest)} to {kept.folder}, and verified it."
    if kept.removed:
        said += f" Removed {counted(len(kept.removed), 'older one')}."
    if kept.left:
        said += f" Not removed, because something else is inside: {', '.join(map(str, kept.left))}."
    return said


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m migrations.backup", description="Back up a lab into a new folder.")
    parser.add_argument("folder", type=Path, help="the backup's folder")
    parser.add_argument("--keep", type=int, help="make it inside the folder, and keep the newest KEEP there")
    given = parser.parse_args()
    if given.keep is not None and given.keep < 1:
        parser.error("--keep must be at least 1")
    configure_logs()
    with keeping("backup"):
        return _back_up(given.folder, given.keep)


def _back_up(folder: Path, keep: int | None) -> int:
    try:
        said = _made(folder) if keep is None else _made_keeping(folder, keep)
    except (BackupError, psycopg.Error, OSError) as error:
        reason = str(error).strip()
        ERRORS.note(None, "error", {"event": "backup.failed", "reason": reason})
        print(f"{FAILED}{reason}", file=sys.stderr)
        return 1
    print(said)
    return 0


if __name__ == "__main__":
    sys.exit(main())
