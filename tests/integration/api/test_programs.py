"""Programs over HTTP: sent in any form, stored once, read by those who may, refused with a name."""

import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select, update

from gpulab.program_archives import read_archive
from gpulab.program_files import ProgramLimits, program
from gpulab.schemas.programs import ProgramDifferenceRead, ProgramPage, ProgramRead
from gpulab.states import Role
from models import Assignment, Job, User
from models.settings import ApiSettings
from models.tables.program import Program, store_key
from tests.integration.api.seeds import SeededUser, Seeds

FILES = {"train.py": b"print('one')\n", "data/größe.txt": "ä\n".encode(), "weights.bin": b"\0\xff\1"}


@pytest.fixture
def settings(settings: ApiSettings) -> ApiSettings:
    return settings.model_copy(update={"max_program_bytes": 50_000, "max_program_files": 10})


@pytest.fixture
def olga(seeds: Seeds) -> SeededUser:
    return seeds.user("olga", Role.STUDENT)


@pytest.fixture
def sam(seeds: Seeds) -> SeededUser:
    return seeds.user("sam", Role.STUDENT)


def sha_of(files: Mapping[str, bytes]) -> str:
    return program(files.items(), ProgramLimits()).sha256


def parts(files: Mapping[str, bytes]) -> list[tuple[str, tuple[str, bytes]]]:
    return [("files", (path, data)) for path, data in files.items()]


def zipped(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in files.items():
            archive.writestr(path, data)
    return buffer.getvalue()


def named(name: bytes) -> bytes:
    """A tar with one file whose name is in no encoding that we know."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo(name.decode("utf-8", "surrogateescape")))
    return buffer.getvalue()


def link() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("evil")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    return buffer.getvalue()


async def send(
    client: httpx.AsyncClient, who: SeededUser, files: Mapping[str, bytes] = FILES, **data: str
) -> ProgramRead:
    answer = await client.post("/v1/programs", files=parts(files), data=data, headers=who.headers)
    assert answer.status_code in {200, 201}, answer.text
    return ProgramRead.model_validate_json(answer.content)


async def test_files_and_archives_are_one_program_that_is_stored_once(
    anonymous: httpx.AsyncClient, olga: SeededUser, sam: SeededUser, seeds: Seeds, tmp_path: Path
) -> None:
    first = await send(anonymous, olga, name="homework", git_commit="a" * 40, git_dirty="true")
    assert first.sha256 == sha_of(FILES)
    assert [file.path for file in first.files] == sorted(FILES)
    assert first.upload is not None
    assert (first.upload.name, first.upload.git_commit, first.upload.git_dirty) == ("homework", "a" * 40, True)
    for who, status in ((olga, 200), (sam, 201), (sam, 200)):
        archive = {"archive": ("p.zip", zipped(FILES))}
        answer = await anonymous.post("/v1/programs", files=archive, headers=who.headers)
        assert (answer.status_code, answer.json()["sha256"]) == (status, first.sha256), answer.text
        assert answer.headers["location"] == f"/v1/programs/{first.sha256}"
    with seeds.engine.begin() as connection:
        assert connection.execute(select(func.count()).select_from(Program)).scalar_one() == 1
    stored = (tmp_path / "artifacts" / store_key(first.sha256)).read_bytes()
    assert dict(read_archive(stored, ProgramLimits()).contents) == FILES


async def test_list_is_of_what_one_sent_and_the_newest_comes_first(
    anonymous: httpx.AsyncClient, olga: SeededUser, sam: SeededUser
) -> None:
    sent = [(await send(anonymous, olga, {"a.py": bytes([n])})).sha256 for n in range(3)]
    await send(anonymous, sam)
    await send(anonymous, olga, {"a.py": b"\0"}, name="again")
    found: list[str] = []
    cursor: str | None = None
    while True:
        query: dict[str, Any] = {"limit": 2} | ({} if cursor is None else {"cursor": cursor})
        answer = await anonymous.get("/v1/programs", params=query, headers=olga.headers)
        page = ProgramPage.model_validate_json(answer.content)
        found += [item.sha256 for item in page.items]
        assert (page.limits.max_bytes, page.limits.max_files) == (50_000, 10)
        if (cursor := page.next_cursor) is None:
            break
    assert found == [sent[0], sent[2], sent[1]]


async def test_files_are_read_back_and_can_do_nothing_in_a_browser(
    anonymous: httpx.AsyncClient, olga: SeededUser
) -> None:
    page = {"page.html": b"<script>alert(1)</script>", **FILES}
    sha = (await send(anonymous, olga, page)).sha256
    for path, data in page.items():
        answer = await anonymous.get(f"/v1/programs/{sha}/files/{path}", headers=olga.headers)
        assert (answer.status_code, answer.content) == (200, data)
        kind = "application/octet-stream" if path == "weights.bin" else "text/plain; charset=utf-8"
        assert answer.headers["content-type"] == kind
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]
        assert answer.headers["content-disposition"].startswith("attachment")
        again = {**olga.headers, "If-None-Match": answer.headers["etag"]}
        assert (await anonymous.get(f"/v1/programs/{sha}/files/{path}", headers=again)).status_code == 304
    archive = await anonymous.get(f"/v1/programs/{sha}/archive", headers=olga.headers)
    assert read_archive(archive.content, ProgramLimits()).sha256 == sha
    for path in ("other.py", "..%2F..%2Fsecret", "data"):
        answer = await anonymous.get(f"/v1/programs/{sha}/files/{path}", headers=olga.headers)
        assert answer.status_code == 404, path


async def test_program_is_read_by_those_who_may_see_a_run_of_it(
    anonymous: httpx.AsyncClient, olga: SeededUser, sam: SeededUser, seeds: Seeds, admin: SeededUser
) -> None:
    sha = (await send(anonymous, olga)).sha256
    seeds.user("ina", Role.INSTRUCTOR)

    async def status(who: SeededUser) -> int:
        return (await anonymous.get(f"/v1/programs/{sha}", headers=who.headers)).status_code

    assert [await status(who) for who in (olga, admin, sam)] == [200, 200, 404]
    job_id = seeds.job(olga, experiment="script", spec={"program": sha, "command": ["python", "train.py"]})
    assert await status(sam) == 404
    job = (await anonymous.get(f"/v1/jobs/{job_id}", headers=olga.headers)).json()
    assert (job["program"]["sha256"], job["program"]["file_count"]) == (sha, 3)
    with seeds.engine.begin() as connection:
        connection.execute(update(User).values(team="red"))
        connection.execute(update(Job).values(shared_with="team"))
    assert await status(sam) == 404
    with seeds.engine.begin() as connection:
        connection.execute(update(Job).values(shared_with="class"))
    assert await status(sam) == 200


async def test_starter_of_an_assignment_is_read_by_the_class(
    anonymous: httpx.AsyncClient, sam: SeededUser, seeds: Seeds, admin: SeededUser
) -> None:
    sha = (await send(anonymous, admin)).sha256
    assert (await anonymous.get(f"/v1/programs/{sha}", headers=sam.headers)).status_code == 404
    order = {"name": "One", "deadline": "2999-01-01", "experiments": ["dropout-linear"]}
    assert (await anonymous.post("/v1/assignments", json=order, headers=admin.headers)).status_code == 201
    with seeds.engine.begin() as connection:
        connection.execute(update(Assignment).values(starter={"experiment": "script", "spec": {"program": sha}}))
    assert (await anonymous.get(f"/v1/programs/{sha}", headers=sam.headers)).status_code == 200


async def test_difference_names_files_and_lines(
    anonymous: httpx.AsyncClient, olga: SeededUser, sam: SeededUser
) -> None:
    changed = {
        "train.py": b"print('two')\n",
        "data/größe.txt": FILES["data/größe.txt"],
        "weights.bin": b"\0\xfe",
        "new.py": b"x\n",
    }
    first, second = (await send(anonymous, olga)).sha256, (await send(anonymous, olga, changed)).sha256
    answer = await anonymous.get(f"/v1/programs/{first}/diff/{second}", headers=olga.headers)
    found = ProgramDifferenceRead.model_validate_json(answer.content)
    assert [(file.path, file.status, file.omitted) for file in found.files] == [
        ("new.py", "added", None),
        ("train.py", "changed", None),
        ("weights.bin", "changed", "binary"),
    ]
    assert found.files[1].lines == "--- train.py\n+++ train.py\n@@ -1 +1 @@\n-print('one')\n+print('two')"
    assert (found.same, found.unchanged) == (False, 1)
    same = await anonymous.get(f"/v1/programs/{first}/diff/{first}", headers=olga.headers)
    assert (same.json()["same"], same.json()["files"], same.json()["unchanged"]) == (True, [], 3)
    assert (await anonymous.get(f"/v1/programs/{first}/diff/{second}", headers=sam.headers)).status_code == 404


@pytest.mark.parametrize(
    ("files", "status", "words"),
    [
        ([("archive", ("p.tar", link()))], 422, "'evil' is a link to '/etc/passwd'"),
        ([("archive", ("p.zip", b"no archive"))], 422, "neither a zip nor a tar"),
        ([("archive", ("p.zip", zipped({"../x": b""})))], 422, "leaves the program"),
        (parts({"../x.py": b"1"}), 422, "'../x.py' leaves the program"),
        (parts({"a.py": b"1", "A.py": b"2"}), 422, "differs only in case"),
        (parts({"big.bin": bytes(50_001)}), 422, "larger than 50,000 bytes; its largest files are 'big.bin'"),
        ([("archive", ("p.zip", zipped({"big.bin": bytes(10**7)})))], 422, "larger than 50,000 bytes"),
        (parts({f"{n}.py": b"" for n in range(11)}), 422, "more than 10 files"),
        (parts({f"{n}.py": b"" for n in range(12)}), 400, "Too many files"),
        ([*parts({"a.py": b""}), ("archive", ("p.zip", zipped(FILES)))], 422, "send one archive, or files"),
        ([("archive", ("p.tar", named(b"a\xff\xfe.py")))], 422, "is not UTF-8"),
        ([("archive", ("p.tar", named(b"a\xed\xa0\x80.py")))], 422, "is not UTF-8"),
        ([("archive", ("p.tar", named(b"a\n\x1b[2J.py")))], 422, "U+000A"),
        ([("other", ("a.py", b""))], 422, "other: a file with this name is not known"),
        (parts({"big.bin": bytes(200_000)}), 413, "bytes are accepted here"),
    ],
)
async def test_what_is_wrong_is_named_and_nothing_is_stored(
    anonymous: httpx.AsyncClient, olga: SeededUser, seeds: Seeds, files: Any, status: int, words: str, tmp_path: Path
) -> None:
    answer = await anonymous.post("/v1/programs", files=files, headers=olga.headers)
    assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text
    with seeds.engine.begin() as connection:
        assert connection.execute(select(func.count()).select_from(Program)).scalar_one() == 0
    assert not (tmp_path / "artifacts" / "programs").exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [("git_commit", "main"), ("git_dirty", "perhaps"), ("name", "x" * 201), ("name", "a\u202eb"), ("colour", "red")],
)
async def test_field_that_is_wrong_is_named(
    anonymous: httpx.AsyncClient, olga: SeededUser, field: str, value: str
) -> None:
    sent = {"files": parts(FILES), "data": {field: value}}
    answer = await anonymous.post("/v1/programs", headers=olga.headers, **sent)  # type: ignore[arg-type] # two kinds
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == field


async def test_body_that_is_no_form_is_refused(anonymous: httpx.AsyncClient, olga: SeededUser) -> None:
    for body, kind, status in (
        (b"{}", "application/json", 415),
        (b"x", "multipart/form-data", 400),
        (b"rubbish", "multipart/form-data; boundary=b", 400),
        (b"--b\r\nrubbish", "multipart/form-data; boundary=b", 422),
        (b"", "multipart/form-data; boundary=b", 422),
    ):
        headers = {**olga.headers, "Content-Type": kind}
        answer = await anonymous.post("/v1/programs", content=body, headers=headers)
        assert answer.status_code == status, (kind, answer.text)


async def test_id_that_is_none_is_refused(anonymous: httpx.AsyncClient, olga: SeededUser) -> None:
    for name in ("x", "A" * 64, "0" * 63):
        assert (await anonymous.get(f"/v1/programs/{name}", headers=olga.headers)).status_code == 422
    assert (await anonymous.get(f"/v1/programs/{'0' * 64}", headers=olga.headers)).status_code == 404


async def test_quota_counts_programs_once(
    settings: ApiSettings, anonymous: httpx.AsyncClient, app: FastAPI, olga: SeededUser
) -> None:
    limited = settings.model_copy(update={"max_artifact_bytes": 100})
    object.__setattr__(app.state.app, "settings", limited)
    await send(anonymous, olga, {"a": bytes(60)})
    await send(anonymous, olga, {"a": bytes(60)})
    answer = await anonymous.post("/v1/programs", files=parts({"a": bytes(41)}), headers=olga.headers)
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/artifact-quota-reached")
    assert "take 60 bytes, and the new files 41 bytes; you may keep 100" in answer.json()["detail"]
    await send(anonymous, olga, {"a": bytes(40)})


async def test_upload_is_audited(anonymous: httpx.AsyncClient, olga: SeededUser, admin: SeededUser) -> None:
    sha = (await send(anonymous, olga)).sha256
    events = (await anonymous.get("/v1/audit", headers=admin.headers)).json()["items"]
    assert [(event["action"], event["target"]) for event in events] == [("program.uploaded", f"program:{sha}")]
