"""`gpulab disk` and `gpulab errors`, against the API at a real port."""

import re
from datetime import UTC, datetime, timedelta

from sqlalchemy import insert

from gpulab.states import Role
from models import Artifact, LabError
from tests.integration.api.seeds import SeededUser, Seeds
from tests.integration.api.test_users_cli import Terminal, terminal

__all__ = ["terminal"]


def keep(seeds: Seeds, owner: SeededUser, size: int) -> None:
    job_id = seeds.job(owner)
    with seeds.engine.begin() as connection:
        connection.execute(
            insert(Artifact).values(
                job_id=job_id, name="a.bin", attempt=1, key=str(job_id), size_bytes=size, sha256="0" * 64,
                media_type="application/octet-stream",
            )
        )  # fmt: skip


async def test_disk_names_the_largest_user_first_and_says_how_many_are_left_out(
    terminal: Terminal, seeds: Seeds
) -> None:
    for name, size in (("ada", 3 * 2**20), ("bo", 7 * 2**20), ("cy", 2**20)):
        keep(seeds, seeds.user(name, Role.STUDENT), size)
    said = await terminal("disk", "--limit", "2")
    assert re.search(r"^database\s+\d", said, re.MULTILINE), said
    users = said[said.index("USER") :].splitlines()
    assert [line.split()[0] for line in users[1:]] == ["bo", "ada", "all", "1"]
    assert "7.0 MiB" in users[1]
    assert "11.0 MiB" in users[3]
    assert users[4].startswith("1 more user;")


async def test_errors_say_how_often_since_when_and_what_to_do(terminal: Terminal, seeds: Seeds) -> None:
    assert "Nothing failed in the lab within 7 days." in await terminal("errors")
    now = datetime.now(UTC)
    common = {"process": "worker", "host": "gpu-1", "is_warning": True, "count": 3, "first_at": now}
    with seeds.engine.begin() as connection:
        for key, event, days in (("a", "store.refused", 0), ("b", "zygote.gone", 20)):
            connection.execute(
                insert(LabError).values(
                    **common,
                    fingerprint=key,
                    event=event,
                    message="no \x1b[2J room",
                    last_at=now - timedelta(days=days),
                )
            )
    said = await terminal("errors")
    assert "worker on gpu-1: store.refused (warning)" in said
    assert re.search(r"seen 3 times, last [\d.]+ s ago, first on \d{4}-", said)
    assert "Check the artifact store" in said
    assert "zygote.gone" not in said
    assert "\x1b" not in said
    assert len(await terminal.json("errors", "--days", "30")) == 2
