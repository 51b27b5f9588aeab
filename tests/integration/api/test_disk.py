"""Where the disk goes: by user, kind and age."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import insert, update

from gpulab.schemas import DiskAge, DiskKind, DiskPlace, DiskRead
from gpulab.states import Role
from models import Artifact, Job, LogChunk, Program, ProgramUpload, SampleChunk
from models.settings import ApiSettings
from tests.integration.api.seeds import SeededUser, Seeds
from worker.folder_watch import FolderWatch


@pytest.fixture
def settings(settings: ApiSettings, tmp_path: Path) -> ApiSettings:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "postgres.log").write_bytes(os.urandom(70_000))
    return settings.model_copy(update={"lab_folder": tmp_path, "backup_folder": tmp_path / "backups"})


def keep(seeds: Seeds, job_id: UUID, name: str, size: int, days: float) -> None:
    at = datetime.now(UTC) - timedelta(days=days)
    with seeds.engine.begin() as connection:
        connection.execute(
            insert(Artifact).values(
                job_id=job_id, name=name, attempt=1, key=str(uuid4()), size_bytes=size, sha256="0" * 64,
                media_type="text/plain", created_at=at,
            )
        )  # fmt: skip


def fill(seeds: Seeds, ada: SeededUser, bob: SeededUser) -> None:
    job = seeds.job(ada)
    keep(seeds, job, "new.txt", 100, 1)
    keep(seeds, job, "a-month.txt", 200, 20)
    keep(seeds, job, "old.txt", 5_000, 200)
    keep(seeds, seeds.job(bob), "his.txt", 7, 60)
    with seeds.engine.begin() as connection:
        connection.execute(insert(LogChunk).values(job_id=job, start=0, attempt=1, data=os.urandom(3_000)))
        connection.execute(
            insert(SampleChunk).values(
                job_id=job, attempt=1, source="host", times=[1.0] * 50, values={"rss": [1] * 50}, reasons={}
            )
        )
        connection.execute(update(Job).where(Job.id == job).values(submitted_at=datetime.now(UTC) - timedelta(days=9)))
        digest = "a" * 64
        connection.execute(insert(Program).values(sha256=digest, size_bytes=900, file_count=1, manifest=[]))
        for user in (bob, ada):
            connection.execute(insert(ProgramUpload).values(user_id=user.id, sha256=digest))


def sizes(found: DiskRead, user: str) -> dict[DiskKind, int]:
    return {use.kind: use.size_bytes for use in found.uses if use.user == user}


@pytest.fixture
def both(seeds: Seeds) -> tuple[SeededUser, SeededUser]:
    ada, bob = seeds.user("ada", Role.STUDENT), seeds.user("bob", Role.STUDENT)
    fill(seeds, ada, bob)
    return ada, bob


async def test_bytes_by_user_kind_and_age(
    client: httpx.AsyncClient, both: tuple[SeededUser, SeededUser], seeds: Seeds, tmp_path: Path
) -> None:
    watch = FolderWatch({"runs": tmp_path / "logs", "cache": tmp_path / "gone"})
    watch.look()
    seeds.node("gpu-1", folders=watch.latest())
    found = DiskRead.model_validate_json((await client.get("/v1/disk")).content)
    ada = {use.kind: use for use in found.uses if use.user == "ada"}
    assert ada[DiskKind.ARTIFACTS].by_age == {
        DiskAge.WEEK: 100, DiskAge.MONTH: 200, DiskAge.QUARTER: 0, DiskAge.OLDER: 5_000,
    }  # fmt: skip
    assert ada[DiskKind.OUTPUT].by_age[DiskAge.MONTH] >= 3_000
    assert ada[DiskKind.SERIES].size_bytes > 100
    assert sizes(found, "bob") == {DiskKind.ARTIFACTS: 7, DiskKind.PROGRAMS: 900}, "who sent it first"
    places = {(place.place, place.node): place for place in found.places}
    assert places[DiskPlace.DATABASE, None].size_bytes > 1_000_000
    assert places[DiskPlace.WRITE_AHEAD_LOG, None].size_bytes > 1_000_000
    assert places[DiskPlace.PROCESS_LOGS, None].size_bytes >= 70_000
    assert places[DiskPlace.RUNS, "gpu-1"].size_bytes >= 70_000
    assert places[DiskPlace.RUNS, "gpu-1"].free_bytes > 0
    assert (DiskPlace.CACHE, "gpu-1") not in places
    assert (DiskPlace.BACKUPS, None) not in places, "there is no such folder yet"


async def test_others_see_what_is_theirs(
    anonymous: httpx.AsyncClient, both: tuple[SeededUser, SeededUser], seeds: Seeds
) -> None:
    for user in (*both, seeds.user("ina", Role.INSTRUCTOR)):
        found = DiskRead.model_validate_json((await anonymous.get("/v1/disk", headers=user.headers)).content)
        assert {use.user for use in found.uses} == ({user.name} if user in both else set())
        assert found.places == []


async def test_metrics_have_the_sums_and_no_names(
    client: httpx.AsyncClient, both: tuple[SeededUser, SeededUser]
) -> None:
    text = (await client.get("/metrics")).text
    assert 'gpulab_disk_user_bytes{age="older",kind="artifacts"} 5000.0' in text
    assert 'gpulab_disk_place_bytes{node="",place="process_logs"}' in text
    assert "ada" not in text
