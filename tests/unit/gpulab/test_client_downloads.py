"""Fetching artifacts."""

from pathlib import Path
from typing import Any

import httpx
import pytest

import gpulab
from gpulab.client.transport import pauses
from tests.unit.gpulab.stub_lab import StubLab, refused
from tests.unit.gpulab.test_client_following import Broken, Clock

CONTENT = bytes(range(256)) * 1000


@pytest.fixture
def job(client: gpulab.Client, stub: StubLab) -> Any:
    stub.files["model.ckpt"] = CONTENT
    return client.job(stub.add(state="succeeded").id)


def breaking_after(count: int) -> Any:
    def answer(request: httpx.Request) -> httpx.Response:
        start = int(request.headers.get("range", "bytes=0-")[6:-1])
        return httpx.Response(206 if start else 200, stream=Broken(CONTENT[start : start + count]))

    return answer


def listed(stub: StubLab, job: Any) -> Any:
    """Lets the listing pass, so that the next fault hits the download itself."""
    return lambda request: stub._job("GET", stub.jobs[job.id], ["artifacts"], request)


def test_artifact_arrives_whole_under_its_name(job: Any, tmp_path: Path) -> None:
    seen: list[int] = []
    path = job.download("model.ckpt", tmp_path / "new" / "folder", on_progress=seen.append)
    assert path == tmp_path / "new" / "folder" / "model.ckpt"
    assert path.read_bytes() == CONTENT
    assert seen[-1] == len(CONTENT)
    assert [file.name for file in path.parent.iterdir()] == ["model.ckpt"]


def test_broken_download_goes_on_where_it_broke(job: Any, stub: StubLab, tmp_path: Path) -> None:
    stub.faults.extend([listed(stub, job), breaking_after(1000), refused, breaking_after(500)])
    assert job.download("model.ckpt", tmp_path).read_bytes() == CONTENT
    ranges = [request.headers.get("range") for request in stub.requests[2:]]
    assert ranges == [None, "bytes=1000-", "bytes=1000-", "bytes=1500-"]


def test_next_call_goes_on_where_the_last_one_gave_up(
    job: Any, stub: StubLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.faults.extend([listed(stub, job), breaking_after(1000), *[refused] * 50])
    monkeypatch.setattr(pauses, "time", Clock(step_seconds=5))
    with pytest.raises(gpulab.LabUnreachable, match="at byte 1000 of 256000"):
        job.download("model.ckpt", tmp_path)
    assert not (tmp_path / "model.ckpt").exists()
    stub.faults.clear()
    assert job.download("model.ckpt", tmp_path).read_bytes() == CONTENT
    assert stub.requests[-1].headers["range"] == "bytes=1000-"


def test_wrong_beginning_left_by_somebody_is_thrown_away(
    job: Any, stub: StubLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.faults.extend([listed(stub, job), *[refused] * 50])
    monkeypatch.setattr(pauses, "time", Clock(step_seconds=5))
    with pytest.raises(gpulab.LabUnreachable):
        job.download("model.ckpt", tmp_path)
    stub.faults.clear()
    (part,) = tmp_path.iterdir()
    part.write_bytes(b"x" * 300)
    assert job.download("model.ckpt", tmp_path).read_bytes() == CONTENT


def test_server_without_ranges_starts_from_the_beginning(job: Any, stub: StubLab, tmp_path: Path) -> None:
    stub.faults.extend([listed(stub, job), breaking_after(1000), lambda _: httpx.Response(200, content=CONTENT)])
    assert job.download("model.ckpt", tmp_path).read_bytes() == CONTENT


def test_bytes_with_another_digest_never_get_the_name(job: Any, stub: StubLab, tmp_path: Path) -> None:
    stub.sha256["model.ckpt"] = "0" * 64
    with pytest.raises(gpulab.DownloadFailed, match="SHA-256"):
        job.download("model.ckpt", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_more_bytes_than_announced_are_refused(job: Any, stub: StubLab, tmp_path: Path) -> None:
    stub.faults.extend([listed(stub, job), lambda _: httpx.Response(200, content=CONTENT + b"x")])
    with pytest.raises(gpulab.DownloadFailed, match="more than the announced 256000 bytes"):
        job.download("model.ckpt", tmp_path)
    assert not (tmp_path / "model.ckpt").exists()


def test_empty_artifact_needs_no_request_for_bytes(job: Any, stub: StubLab, tmp_path: Path) -> None:
    stub.files["empty"] = b""
    assert job.download("empty", tmp_path).read_bytes() == b""


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", ".hidden", "a/b", "con\0", ""])
def test_name_that_is_a_path_is_refused(job: Any, stub: StubLab, tmp_path: Path, name: str) -> None:
    stub.files[name] = b"x"
    with pytest.raises(gpulab.DownloadFailed, match="not a plain file name"):
        job.download(name, tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_digest_that_is_a_path_is_refused(job: Any, stub: StubLab, tmp_path: Path) -> None:
    stub.sha256["model.ckpt"] = "/../../../../evil"
    with pytest.raises(gpulab.DownloadFailed, match="is not a SHA-256"):
        job.download("model.ckpt", tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_missing_artifact_is_named_beside_those_there_are(job: Any, tmp_path: Path) -> None:
    with pytest.raises(gpulab.DownloadFailed, match=r"no artifact 'nothing'; it has: model\.ckpt"):
        job.download("nothing", tmp_path)
