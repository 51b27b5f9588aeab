"""`python -m migrations.verify FOLDER`: whether a backup is whole, or each one of a folder of them."""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from alembic.script import ScriptDirectory
from alembic.util import CommandError

from gpulab.words import counted
from migrations.backup import DUMP, FILES, FORMAT, MANIFEST, BackupError, made_on, sha256_of, summary
from migrations.settings import config

NAME = re.compile(r"gpulab-\d{8}T\d{6}Z")
"""Of a backup among others."""


def complete(parent: Path) -> list[Path]:
    """The backups in a folder of them, the oldest first. Others' files and half backups are not among them."""
    return sorted(path for path in parent.iterdir() if NAME.fullmatch(path.name) and manifest_of(path) is not None)


def manifest_of(folder: Path) -> dict[str, Any] | None:
    """The manifest of a folder that a backup of gpulab made; None for another one, or one that is not complete."""
    if folder.is_symlink():
        return None
    try:
        found = _manifest(folder)
        return found if set(found["versions"]) >= {"gpulab", "schema"} and isinstance(found["files"], list) else None
    except (BackupError, OSError, KeyError, TypeError):
        return None


def checked(folder: Path) -> dict[str, Any]:
    """The manifest of a whole backup that this version can read. Raises `BackupError`."""
    manifest = _manifest(folder)
    try:
        _check_format(manifest)
        if sha256_of(folder / DUMP) != manifest["database"]["sha256"]:
            raise BackupError(f"{folder / DUMP} is damaged: its SHA-256 differs")
        for file in manifest["files"]:
            path = folder / FILES / file["key"]
            if not path.is_file() or sha256_of(path) != file["sha256"]:
                raise BackupError(f"{path} is missing or damaged")
    except FileNotFoundError as error:
        raise BackupError(f"{error.filename} is missing") from None
    except (KeyError, TypeError):
        raise BackupError(f"{folder / MANIFEST} does not belong to a backup of gpulab") from None
    return manifest


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise BackupError(f"{folder} has no backup: it has no {MANIFEST}") from None
    except ValueError:
        raise BackupError(f"{folder / MANIFEST} is damaged: it is not JSON") from None
    return manifest


def _check_format(manifest: dict[str, Any]) -> None:
    schema, version = manifest["versions"]["schema"], manifest["versions"]["gpulab"]
    if manifest["format"] != FORMAT:
        raise BackupError(
            f"the backup has format {manifest['format']}, this version reads {FORMAT}: restore it with the version of"
            f" gpulab that made it ({version})"
        )
    try:
        ScriptDirectory.from_config(config()).get_revision(schema)
    except CommandError:
        raise BackupError(f"the backup has schema {schema}, which is newer than this version: upgrade it") from None


def verify(folder: Path) -> int:
    """Print a sentence for each backup; returns how many are not whole."""
    backups = [folder] if (folder / MANIFEST).exists() or not folder.is_dir() else complete(folder) or [folder]
    damaged = 0
    for each in backups:
        try:
            manifest = checked(each)
            print(f"{each} is complete: {summary(manifest)}, {made_on(manifest)}.")
        except (BackupError, OSError) as error:
            damaged += 1
            print(f"Not a complete backup: {error}.", file=sys.stderr)
    if len(backups) > 1:
        print(f"{len(backups) - damaged} of {counted(len(backups), 'backup')} can be restored.")
    return damaged


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m migrations.verify", description="Check that a backup is complete.")
    parser.add_argument("folder", type=Path, help="a backup, or a folder of them")
    return 1 if verify(parser.parse_args().folder) else 0


if __name__ == "__main__":
    sys.exit(main())
