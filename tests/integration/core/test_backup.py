"""A backup is one moment of a lab that goes on, and a restored one has the same rows and files."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Engine, insert

from migrations.backup import BackupError, BackupSettings, back_up
from migrations.restore import restore
from models import Artifact, Checkpoint
from models.statements import shipping
from models.store import open_store

ROOT = Path(__file__).parents[3]
DATA = b"\x89PNG picture" * 1000


@pytest.fixture
def lab(
    database_url: str, tmp_path: Path, engine: Engine, make_lease: Callable[..., Any], execute: Callable[[Any], Any]
) -> BackupSettings:
    """A running job with a picture and a checkpoint, and a queued one."""
    settings = BackupSettings(database_url=database_url, artifacts_url=(tmp_path / "artifacts").as_uri())
    job_id, token = make_lease()
    store = open_store(settings.artifacts_url)
    for name in ("plot.png", "step 3.pt"):
        store.put(f"jobs/{job_id}/{name}", DATA)
    plain = {"job_id": job_id, "attempt": 1, "size_bytes": len(DATA)}
    execute(
        insert(Artifact).values(
            **plain,
            name="plot.png",
            key=f"jobs/{job_id}/plot.png",
            sha256=sha256(DATA).hexdigest(),
            media_type="image/png",
        )
    )
    execute(
        insert(Checkpoint).values(**plain, name="step 3.pt", key=f"jobs/{job_id}/step 3.pt", step=3, recorded_time=1.0)
    )
    assert execute(shipping.offsets(token))
    return settings


@pytest.fixture
def fresh(empty_database_url: str, tmp_path: Path) -> BackupSettings:
    return BackupSettings(database_url=empty_database_url, artifacts_url=(tmp_path / "restored").as_uri())


def rows(url: str) -> dict[str, list[Any]]:
    """Every row of every table."""
    with psycopg.connect(url) as connection:
        names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        query = sql.SQL("SELECT to_jsonb(t)::text FROM {} t")
        return {name: sorted(connection.execute(query.format(sql.Identifier(name)))) for (name,) in names}


def test_restored_lab_has_the_same_rows_and_files(lab: BackupSettings, fresh: BackupSettings, tmp_path: Path) -> None:
    made = back_up(lab, tmp_path / "backup")
    restore(fresh, tmp_path / "backup")

    before = rows(lab.database_url)
    assert rows(fresh.database_url) == before
    assert len(before["jobs"]) == len(before["leases"]) == len(before["checkpoints"]) == 1
    assert len(made["files"]) == 2
    for file in made["files"]:
        assert bytes(open_store(fresh.artifacts_url).get(file["key"]).bytes()) == DATA
    with psycopg.connect(fresh.database_url) as connection:
        # What counts by itself goes on where it was.
        number = connection.execute("SELECT nextval(pg_get_serial_sequence('job_events', 'id'))").fetchone()
        last = connection.execute("SELECT max(id) FROM job_events").fetchone()
    assert number is not None
    assert last is not None
    assert number[0] > last[0]


def test_manifest_tells_versions_rows_and_sums(lab: BackupSettings, tmp_path: Path) -> None:
    back_up(lab, tmp_path / "backup")
    told = json.loads((tmp_path / "backup" / "manifest.json").read_text())

    assert told["tables"]["jobs"] == 1
    assert told["versions"].keys() == {"gpulab", "schema", "postgresql"}
    dump = (tmp_path / "backup" / "database.dump").read_bytes()
    assert told["database"] == {"size_bytes": len(dump), "sha256": sha256(dump).hexdigest()}
    assert (tmp_path / "backup").stat().st_mode & 0o077 == 0


def test_file_that_retention_took_meanwhile_is_listed(
    lab: BackupSettings, fresh: BackupSettings, tmp_path: Path
) -> None:
    gone = next((tmp_path / "artifacts").rglob("plot.png"))
    gone.unlink()
    assert [Path(key).name for key in back_up(lab, tmp_path / "backup")["missing"]] == ["plot.png"]
    restore(fresh, tmp_path / "backup")


def test_file_that_changed_in_the_store_is_no_backup(lab: BackupSettings, tmp_path: Path) -> None:
    next((tmp_path / "artifacts").rglob("plot.png")).write_bytes(b"other")
    with pytest.raises(BackupError, match=r"plot\.png is not the one that its run wrote"):
        back_up(lab, tmp_path / "backup")


def test_what_is_damaged_or_not_empty_is_refused_and_nothing_is_written(
    lab: BackupSettings, fresh: BackupSettings, tmp_path: Path
) -> None:
    backup = tmp_path / "backup"
    back_up(lab, backup)
    with pytest.raises(BackupError, match="the database is not empty"):
        restore(lab, backup)
    with pytest.raises(BackupError, match="is not empty"):
        back_up(lab, backup)
    with pytest.raises(BackupError, match="has no backup"):
        restore(fresh, tmp_path / "artifacts")
    next((backup / "artifacts").rglob("plot.png")).write_bytes(b"other")
    with pytest.raises(BackupError, match=r"plot\.png is missing or damaged"):
        restore(fresh, backup)
    manifest = json.loads((backup / "manifest.json").read_text())
    manifest["versions"]["schema"] = "9999"
    (backup / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BackupError, match="newer than this version"):
        restore(fresh, backup)
    assert rows(fresh.database_url) == {}
    assert not (tmp_path / "restored").exists() or not list((tmp_path / "restored").iterdir())


@pytest.mark.slow
def test_commands_serve_a_lab_in_a_folder_that_is_not_up(
    lab: BackupSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gpulab(*arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
        clean = {
            name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "GPULAB_ARTIFACTS_URL"}
        }
        command = [sys.executable, "-m", "gpulab", *map(str, arguments)]
        return subprocess.run(command, env=clean | env, cwd=ROOT, capture_output=True, text=True, timeout=100)

    servers = {"DATABASE_URL": lab.database_url, "GPULAB_ARTIFACTS_URL": lab.artifacts_url}
    assert gpulab("backup", tmp_path / "one", **servers).returncode == 0
    restored = gpulab("restore", tmp_path / "one", "--data", tmp_path / "lab")
    assert restored.returncode == 0, restored.stderr
    again = gpulab("backup", tmp_path / "two", "--data", tmp_path / "lab")
    assert again.returncode == 0, again.stderr
    first, second = (json.loads((tmp_path / name / "manifest.json").read_text()) for name in ("one", "two"))
    assert (first["tables"], first["files"]) == (second["tables"], second["files"])
    nothing = gpulab("backup", tmp_path / "three", "--data", tmp_path / "nowhere")
    assert (nothing.returncode, "there is no lab" in nothing.stderr) == (1, True)
