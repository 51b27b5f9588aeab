"""A pooler that shares sessions is found out by every process at its start, and by the doctor."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.doctor import Examined, Status, examine
from server.embedded import EmbeddedPostgres
from server.session_pooling import shares_sessions
from tests.integration.core.test_start_order import environment
from tests.lab import ROOT
from tests.pooler import transaction_pooler


@pytest.fixture
def pooled_url(postgres: EmbeddedPostgres, database_url: str) -> Iterator[str]:
    with transaction_pooler(postgres, "migrated") as url:
        yield url


def test_address_of_the_server_itself_is_good(database_url: str) -> None:
    assert not shares_sessions(database_url)


def test_pooler_that_shares_is_found_out(pooled_url: str) -> None:
    assert shares_sessions(pooled_url)


@pytest.mark.parametrize("process", ["worker", "migrations", "api"])
def test_program_refuses_it_in_words(process: str, pooled_url: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", process],
        env=environment(tmp_path, pooled_url), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "pool_mode = session" in done.stderr


def test_doctor_tells_it(pooled_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATABASE_URL", pooled_url)
    monkeypatch.setattr("server.doctor._probe", lambda *_: {"error": "not looked at"})
    found = {finding.check: finding for finding in examine(Examined(tmp_path, "127.0.0.1", 1))}
    assert found["sessions"].status is Status.FAIL
    assert "pool_mode = session" in (found["sessions"].mend or "")
