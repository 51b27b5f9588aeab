"""What failed in the lab, for its admins."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, update

from gpulab.schemas import LabErrorPage
from gpulab.states import Role
from models import LabError, error_log
from models.composed import run
from models.error_log import ErrorLog, engine_for, flush, keeping
from models.settings import ApiSettings
from models.statements import lab_errors
from tests.integration.api.seeds import Seeds


@pytest.fixture
def errors(monkeypatch: pytest.MonkeyPatch) -> ErrorLog:
    made = ErrorLog()
    monkeypatch.setattr(error_log, "ERRORS", made)
    return made


def note(errors: ErrorLog, process: str, event: str, reason: str) -> None:
    errors.process = process
    errors.note(None, "error", {"event": event, "reason": reason})


async def read(client: httpx.AsyncClient) -> LabErrorPage:
    return LabErrorPage.model_validate_json((await client.get("/v1/errors")).content)


async def test_groups_survive_their_process_and_are_counted_on(
    client: httpx.AsyncClient, errors: ErrorLog, settings: ApiSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", settings.database_url)
    for seconds in (3, 14):
        with keeping("worker"):
            note(errors, "worker", "store.refused", f"no space left after {seconds} s")
    with keeping("backup"):
        note(errors, "backup", "backup.failed", "the disk is full")
    found = await read(client)
    assert [(each.process, each.event, each.count) for each in found.items] == [
        ("backup", "backup.failed", 1),
        ("worker", "store.refused", 2),
    ]
    assert found.items[1].message == "no space left after 14 s"
    assert found.items[1].first_at < found.items[1].last_at
    assert "Older backups are untouched" in found.items[0].advice


async def test_only_admins_read_them(anonymous: httpx.AsyncClient, seeds: Seeds) -> None:
    for role in (Role.STUDENT, Role.INSTRUCTOR):
        user = seeds.user(f"one-{role}", role)
        assert (await anonymous.get("/v1/errors", headers=user.headers)).status_code == 403


async def test_the_table_is_bounded_and_forgets(
    client: httpx.AsyncClient, errors: ErrorLog, settings: ApiSettings, seeds: Seeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab_errors, "MAX_KEPT", 5)
    engine = engine_for(settings.database_url)
    for letters in ("a", "b", "c", "d", "e", "f", "g"):
        note(errors, "api", "request.failed", letters)
    assert flush(engine)

    def count() -> Any:
        with seeds.engine.begin() as connection:
            run(connection, lab_errors.trim)
            return connection.execute(select(func.count()).select_from(LabError)).scalar()

    assert count() <= 7
    with seeds.engine.begin() as connection:
        connection.execute(update(LabError).values(last_at=datetime.now(UTC) - timedelta(days=40)))
    assert count() == 0
    engine.dispose()


def test_a_database_that_is_away_loses_nothing(errors: ErrorLog, settings: ApiSettings) -> None:
    note(errors, "api", "request.failed", "no luck")
    away = engine_for("postgresql://nobody@127.0.0.1:1/nothing")
    assert not flush(away)
    engine = engine_for(settings.database_url)
    assert flush(engine)
    with engine.begin() as connection:
        assert connection.execute(select(LabError.message)).scalars().all() == ["no luck"]
    engine.dispose()
