"""What failed in the lab, for its admins."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import OperationalError

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
    monkeypatch.setattr(lab_errors.trim, "_composed", {})
    engine = engine_for(settings.database_url)
    for letters in ("a", "b", "c", "d", "e", "f", "g"):
        note(errors, "api", "request.failed", letters)
    assert flush(engine)

    def count() -> Any:
        with seeds.engine.begin() as connection:
            run(connection, lab_errors.trim)
            return connection.execute(select(func.count()).select_from(LabError)).scalar()

    assert count() == 5
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


async def test_errors_of_an_outage_are_kept_once_it_ends(
    client: httpx.AsyncClient, errors: ErrorLog, settings: ApiSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", settings.database_url)
    monkeypatch.setattr(error_log, "FLUSH_SECONDS", 0.05)
    tries: list[int] = []
    real = error_log.run

    def away_at_first(*args: Any, **kwargs: Any) -> Any:
        tries.append(len(tries))
        if len(tries) == 1:
            raise OperationalError("the database is away", None, Exception())
        return real(*args, **kwargs)

    monkeypatch.setattr(error_log, "run", away_at_first)
    with keeping("worker"):
        note(errors, "worker", "store.refused", "a name with \udc80")
        for _ in range(100):
            if (found := await read(client)).items:
                break
            await asyncio.sleep(0.05)
        assert [each.message for each in found.items] == ["a name with \\udc80"]
