"""A lab's folder may be called anything: addresses are quoted, and printed commands can be pasted."""

import shlex
from pathlib import Path

import pytest
import redis
from sqlalchemy import text

from models.database import listening_connection, sync_engine
from models.doorbell import celery_app
from models.settings import SchedulerSettings
from models.store import open_store
from server.commands.up import _print_summary
from server.embedded import EmbeddedPostgres, EmbeddedRedis
from server.up import Ready

ODD = ["a b", "it's $HOME & more", 'j%20k "q" #1?', "\\ü;"]


@pytest.mark.parametrize("name", ODD)
def test_servers_and_store_work_in_it(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("odd") / name
    folder.mkdir()
    with EmbeddedPostgres(folder / "postgres", durable=False) as server, EmbeddedRedis(folder / "redis") as broker:
        settings = SchedulerSettings(
            database_url=server.url, redis_url=broker.url, artifacts_url=(folder / "artifacts").as_uri()
        )
        engine = sync_engine(settings.sqlalchemy_url)
        with engine.connect() as connection:
            assert connection.execute(text("SELECT 1")).scalar() == 1
        engine.dispose()
        with listening_connection(settings.libpq_url) as listener:
            assert listener.execute("SELECT 1").fetchone() == (1,)
        with redis.Redis.from_url(broker.url) as client:
            assert client.ping()
        with celery_app(broker.url).connection_for_write() as queue:
            queue.ensure_connection(max_retries=1)
        open_store(settings.artifacts_url).put("jobs/1", b"x")
        assert (folder / "artifacts/jobs/1").read_bytes() == b"x"


@pytest.mark.parametrize("name", ODD)
def test_command_that_up_prints_can_be_pasted(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    token_file = Path("/srv") / name / "admin.token"
    _print_summary(Ready("http://127.0.0.1:8000", token_file, token_file.parent, 1.0))
    line = next(line for line in capsys.readouterr().out.splitlines() if "export " in line)
    assert shlex.split(line)[2] == f"GPULAB_TOKEN_FILE={token_file}"
