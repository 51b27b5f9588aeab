"""Notes, exports and erasures: what users may see and do with their own data, and nobody with another's."""

import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, insert, select, update

from api.http.problems import Busy
from gpulab.states import Role
from models import Job, NotificationChannel, ProgramUpload, User
from models.settings import ApiSettings
from models.tables.program import Program, store_key
from tests.integration.api.seeds import SeededUser, Seeds
from tests.integration.api.test_users_cli import Terminal, terminal

__all__ = ["terminal"]


@pytest.fixture
def olga(seeds: Seeds) -> SeededUser:
    seeds.node()
    return seeds.user("olga", Role.STUDENT)


def finished(seeds: Seeds, owner: SeededUser, **values: Any) -> UUID:
    job_id = seeds.job(owner, **values)
    seeds.run(job_id)
    seeds.finish(job_id)
    return job_id


async def test_note_is_written_by_its_owner_and_found_by_its_text(
    anonymous: httpx.AsyncClient, seeds: Seeds, olga: SeededUser
) -> None:
    job_id = finished(seeds, olga)
    finished(seeds, olga)
    path, text = f"/v1/jobs/{job_id}", "  Warmup helped.\r\n\r\n- lr 0.1 <b>diverges</b>\n"
    tag = (await anonymous.get(path, headers=olga.headers)).headers["etag"]
    answer = await anonymous.patch(path, json={"note": text}, headers=olga.headers)
    assert answer.json()["note"] == "Warmup helped.\n\n- lr 0.1 <b>diverges</b>"
    seen = await anonymous.get(path, headers={**olga.headers, "If-None-Match": tag})
    assert (seen.status_code, seen.json()["note"]) == (200, answer.json()["note"])
    for query in ({"text": "warmup HELPED"}, {"where": "note~diverges"}):
        table = await anonymous.get("/v1/job-table", params={**query, "columns": "note"}, headers=olga.headers)
        assert [row["id"] for row in table.json()["items"]] == [str(job_id)], query
        assert table.json()["items"][0]["values"] == [answer.json()["note"]]
    listed = await anonymous.get("/v1/jobs", params={"text": "warmup"}, headers=olga.headers)
    assert [row["id"] for row in listed.json()["items"]] == [str(job_id)]
    assert (await anonymous.patch(path, json={"note": None}, headers=olga.headers)).json()["note"] is None


@pytest.mark.parametrize(
    ("note", "limit"),
    [("x" * 4001, {"max_length": 4000}), ("   \n ", {"min_length": 1}), ("a\u202eb", None), ("a\0b", None), (5, None)],
)
async def test_note_that_cannot_be_kept_is_refused_by_name(
    anonymous: httpx.AsyncClient, seeds: Seeds, olga: SeededUser, note: Any, limit: dict[str, Any] | None
) -> None:
    job_id = finished(seeds, olga)
    answer = await anonymous.patch(f"/v1/jobs/{job_id}", json={"note": note}, headers=olga.headers)
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "note")
    assert answer.json()["errors"][0].get("limit") == limit


async def test_note_of_another_that_staff_change_is_in_the_audit_as_it_was(
    client: httpx.AsyncClient, seeds: Seeds, olga: SeededUser
) -> None:
    job_id = finished(seeds, olga)
    path = f"/v1/jobs/{job_id}"
    await client.patch(path, json={"note": "mine"}, headers=olga.headers)
    ina, sam = seeds.user("ina", Role.INSTRUCTOR), seeds.user("sam", Role.STUDENT)
    assert (await client.patch(path, json={"note": "x"}, headers=sam.headers)).status_code == 404
    await client.patch(path, json={"note": "ours"}, headers=ina.headers)
    await client.patch(path, json={"note": "ours"}, headers=ina.headers)
    events = (await client.get("/v1/audit", params={"action": "job.note_changed"})).json()["items"]
    assert [(one["actor"], one["details"]) for one in events] == [("user:ina", {"before": "mine", "after": "ours"})]


async def exported(client: httpx.AsyncClient, user: SeededUser, reader: SeededUser) -> zipfile.ZipFile:
    answer = await client.get(f"/v1/users/{user.id}/export", headers=reader.headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    return zipfile.ZipFile(io.BytesIO(answer.content))


@pytest.fixture
def work(app: FastAPI, seeds: Seeds, olga: SeededUser) -> UUID:
    """A run with everything, a program, and a webhook whose address is a secret."""
    job_id = finished(seeds, olga, name="first", spec={"dropout": 0.5})
    seeds.metric(job_id, "loss", [1, 2], [0.5, float("nan")])
    seeds.log(job_id, 0, b"epoch 1\n")
    seeds.log(job_id, 8, b"epoch 2\n")
    store = app.state.app.store
    for name, data in (("a.png", b"12345"), ("weights.pt", b"x" * 2000)):
        store.put(f"{job_id}/{name}", data)
        seeds.artifact(job_id, name, f"{job_id}/{name}", data, "0" * 64)
    seeds.artifact(job_id, "lost.txt", "nowhere", b"12", "0" * 64)
    store.put(store_key("b" * 64), b"tar")
    with seeds.engine.begin() as connection:
        connection.execute(insert(Program).values(sha256="b" * 64, size_bytes=3, file_count=1, manifest=[]))
        connection.execute(insert(ProgramUpload).values(user_id=olga.id, sha256="b" * 64, name="train.py"))
        channel = {"kinds": [], "webhook_url": "https://hooks.example.org/secret"}
        connection.execute(insert(NotificationChannel).values(user_id=olga.id, channel="webhook", **channel))
    return job_id


async def test_export_has_all_that_is_theirs_and_no_secret(
    client: httpx.AsyncClient, seeds: Seeds, olga: SeededUser, work: UUID
) -> None:
    others = finished(seeds, seeds.user("sam", Role.STUDENT), name="not olgas")
    homework = {"name": "HW", "deadline": "2999-01-01T00:00:00Z", "experiments": ["dropout-linear"]}
    base = f"/v1/assignments/{(await client.post('/v1/assignments', json=homework)).json()['id']}"
    await client.post(f"{base}/submission", json={"job_id": str(work)}, headers=olga.headers)
    await client.put(f"{base}/grades/{olga.id}", json={"points": 3, "comment": "good"})
    found = await exported(client, olga, olga)
    assert found.testzip() is None
    assert json.loads(found.read("profile.json"))["name"] == "olga"
    (run,) = map(json.loads, found.read("runs.ndjson").splitlines())
    assert (run["id"], run["name"], run["spec"], run["result"]) == (str(work), "first", {"dropout": 0.5}, {"loss": 1.0})
    points = list(csv.reader(io.StringIO(found.read("metrics.csv").decode())))
    assert [row[1:] for row in points[1:]] == [["loss", "1", "1001.0", "0.5"], ["loss", "2", "1002.0", "nan"]]
    assert found.read(f"output/{work}.log") == b"epoch 1\nepoch 2\n"
    assert found.read(f"files/{work}/weights.pt") == b"x" * 2000
    assert found.read(f"programs/{'b' * 64}.tar") == b"tar"
    assert json.loads(found.read("submissions.json"))[0]["assignment"] == "HW"
    assert json.loads(found.read("grades.json")) == []
    manifest = json.loads(found.read("manifest.json"))
    assert sorted(manifest["files"]) == sorted(found.namelist())
    assert manifest["left_out"] == [
        {"name": f"files/{work}/lost.txt", "size_bytes": 2, "reason": "the lab no longer has it"}
    ]
    whole = b"".join(found.read(name) for name in found.namelist())
    assert [word for word in (b"hooks.example", olga.token.encode(), str(others).encode()) if word in whole] == []
    await client.patch(base, json={"points_released": True})
    released = json.loads((await exported(client, olga, olga)).read("grades.json"))
    assert [(one["assignment"], one["points"], one["comment"]) for one in released] == [("HW", 3.0, "good")]
    events = (await client.get("/v1/audit", params={"action": "user.exported"})).json()["items"]
    assert {(one["actor"], one["target"]) for one in events} == {("user:olga", f"user:{olga.id}")}


async def test_files_beyond_the_limit_are_named_and_left_out(
    app: FastAPI, client: httpx.AsyncClient, admin: SeededUser, olga: SeededUser, work: UUID, settings: ApiSettings
) -> None:
    settings.__dict__["max_export_bytes"] = 1000
    app.state.app.settings.__dict__["max_export_bytes"] = 1000
    found = await exported(client, olga, admin)
    left_out = json.loads(found.read("manifest.json"))["left_out"]
    assert [one["name"].rpartition("/")[2] for one in left_out] == ["lost.txt", "weights.pt"]
    assert f"files/{work}/a.png" in found.namelist()


async def test_answers_that_are_held_back_are_held_back_from_the_export_too(
    client: httpx.AsyncClient, seeds: Seeds, olga: SeededUser, admin: SeededUser, work: UUID
) -> None:
    with seeds.engine.begin() as connection:
        result = {"loss": 1.0, "verdict": "wrong", "sheet": 3}
        changes = {"result": result, "experiment": "conv-gradients", "spec": {}}
        connection.execute(update(Job).where(Job.id == work).values(**changes))
    seeds.metric(work, "sheet_variance", [1], [1.0])
    homework = {"name": "HW", "deadline": "2999-01-01T00:00:00Z", "experiments": ["conv-gradients"]}
    assert (await client.post("/v1/assignments", json=homework)).status_code == 201
    theirs, whole = await exported(client, olga, olga), await exported(client, olga, admin)
    assert json.loads(theirs.read("runs.ndjson"))["result"] == {"loss": 1.0}
    assert b"sheet" not in theirs.read("metrics.csv")
    assert json.loads(whole.read("runs.ndjson"))["result"] == result
    assert b"sheet_variance" in whole.read("metrics.csv")


async def test_second_export_waits_for_the_first(app: FastAPI, olga: SeededUser) -> None:
    turns = app.state.app.export_turns
    async with turns.taken(wait_seconds=1):
        with pytest.raises(Busy):
            async with turns.taken(wait_seconds=0.01):
                raise AssertionError("two at once")


async def test_erasure_counts_first_shuts_out_and_cannot_be_taken_back(
    client: httpx.AsyncClient, seeds: Seeds, olga: SeededUser, work: UUID
) -> None:
    waiting = seeds.job(olga)
    path = f"/v1/users/{olga.id}"
    tried = await client.post(f"{path}/erase", json={"mode": "delete", "dry_run": True})
    counts = {"runs": 2, "live_runs": 1, "programs": 1, "files": 3, "file_bytes": 2007, "tokens": 1, "submissions": 0}
    assert tried.status_code == 200
    assert {name: tried.json()[name] for name in counts} == counts
    assert (await client.get(path)).json()["erasure"] is None
    done = await client.post(f"{path}/erase", json={"mode": "anonymise"})
    assert (done.status_code, done.json()["runs"]) == (202, 2)
    assert (await client.get("/v1/me", headers=olga.headers)).status_code == 401
    assert (await client.get(path)).json()["erasure"] == "anonymise"
    refused = await client.post(f"{path}/enable")
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/user-erased")
    assert (await client.post(f"{path}/erase", json={"mode": "delete"})).status_code == 202
    assert (await client.post(f"{path}/erase", json={"mode": "anonymise"})).status_code == 409
    events = (await client.get("/v1/audit", params={"target": f"user:{olga.id}"})).json()["items"]
    assert [one["action"] for one in events] == ["user.deleted", "user.anonymised"]
    with seeds.engine.begin() as connection:
        assert connection.execute(select(Job.state).where(Job.id == waiting)).scalar_one() == "queued"


async def test_neither_oneself_nor_the_last_admin_is_erased(
    client: httpx.AsyncClient, seeds: Seeds, admin: SeededUser
) -> None:
    order = {"mode": "delete"}
    assert (await client.post(f"/v1/users/{admin.id}/erase", json=order)).status_code == 403
    other = seeds.user("root")
    with seeds.engine.begin() as connection:
        connection.execute(update(User).where(User.id == admin.id).values(disabled_at=func.now()))
        connection.execute(update(User).where(User.id == admin.id).values(disabled_at=None, role="admin"))
    assert (await client.post(f"/v1/users/{other.id}/erase", json=order)).status_code == 202
    unknown = await client.post(f"/v1/users/{UUID(int=1)}/erase", json=order)
    assert (unknown.status_code, unknown.json()["type"]) == (404, "/problems/user-not-found")
    wrong = await client.post(f"/v1/users/{other.id}/erase", json={"mode": "burn"})
    assert (wrong.status_code, wrong.json()["errors"][0]["path"]) == (422, "mode")


async def test_terminal_names_notes_and_deletes_runs(
    terminal: Terminal, seeds: Seeds, admin: SeededUser, tmp_path: Path
) -> None:
    seeds.node()
    first, second = (finished(seeds, admin, name=name) for name in ("one", "two"))
    assert "better" in await terminal("rename", "one", "better")
    assert "#kept" in await terminal("tag", "better", "kept", "gone")
    assert "#gone" not in await terminal("tag", "better", "--remove", "gone")
    assert "lr 0.1" in await terminal("note", "better", "try lr 0.1")
    assert "lr 0.1" in await terminal("note", str(first))
    assert "note  " in await terminal("status", str(first))
    assert "no note" in await terminal("note", "better", "--remove")
    waiting = seeds.job(admin)
    refused = await terminal("delete", "better", str(waiting), "--yes", expected=3)
    assert f"{waiting}  not deleted: the job is queued" in refused
    assert (await terminal.json("delete", "two")) == {"deleted": [str(second)], "kept": []}
    assert "no run has the id or name" in await terminal("delete", "two", "--yes", expected=2)
    zipped = tmp_path / "all" / "mine.zip"
    assert str(zipped) in await terminal("me", "export", "--to", str(zipped))
    assert str(waiting) in zipfile.ZipFile(zipped).read("runs.ndjson").decode()
    assert [path.name for path in zipped.parent.iterdir()] == ["mine.zip"]


async def test_terminal_counts_before_it_erases_a_user(terminal: Terminal, seeds: Seeds, olga: SeededUser) -> None:
    finished(seeds, olga)
    counted = await terminal("users", "delete", "olga", "--dry-run")
    assert "runs" in counted
    assert "Nothing was changed." in counted
    assert "add --yes" in await terminal("users", "anonymise", "olga", expected=2)
    assert "Done." in await terminal("users", "delete", "olga", "--yes")
    assert (await terminal.json("users", "show", "olga"))["erasure"] == "delete"
