"""Artifacts in S3-compatible storage: a real server process, through the same routes as a folder."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from api.app import create_app
from models.settings import ApiSettings
from models.store import open_store
from server.child_process import spawn, stop_process
from tests.integration.api.seeds import Seeds
from tests.lab import free_port, wait_until

DATA = bytes(range(256)) * 4096
"""A MiB, more than one chunk of an answer."""


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that has the bucket `lab`."""
    port = free_port()
    log_path = tmp_path_factory.mktemp("s3") / "s3.log"
    with log_path.open("ab") as log:
        command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
        process: subprocess.Popen[bytes] = spawn(command, log=log, death_signal=signal.SIGKILL, env=dict(os.environ))
    url = f"http://127.0.0.1:{port}"

    def made() -> bool:
        assert process.poll() is None, log_path.read_text()
        try:
            return httpx.put(f"{url}/lab", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_until(made, what="the bucket")
        yield url
    finally:
        stop_process(process, (signal.SIGTERM, 5.0))


@pytest.fixture
def stored(settings: ApiSettings, s3: str, monkeypatch: pytest.MonkeyPatch) -> ApiSettings:
    """The API's settings with files in the bucket; credentials come from the environment."""
    for name, value in {
        "AWS_ENDPOINT_URL": s3,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "lab",
        "AWS_SECRET_ACCESS_KEY": "of-the-test-alone",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    return settings.model_copy(update={"artifacts_url": "s3://lab/artifacts"})


async def test_file_is_kept_in_the_bucket_and_served_whole_in_ranges_and_safely(
    stored: ApiSettings, s3: str, seeds: Seeds, tmp_path: Path
) -> None:
    user = seeds.user("admin")
    job_id = seeds.job(user)
    path = tmp_path / "plot.png"
    path.write_bytes(DATA)
    # As the shipper puts it: a path, sent in parts where it is large.
    open_store(stored.artifacts_url).put(f"jobs/{job_id}/plot.png", path)
    seeds.artifact(job_id, "plot.png", f"jobs/{job_id}/plot.png", DATA, sha256(DATA).hexdigest())
    seeds.artifact(job_id, "gone.png", f"jobs/{job_id}/gone.png", DATA, sha256(DATA).hexdigest())
    app = create_app(stored)
    files = f"/v1/jobs/{job_id}/artifacts"
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://lab", headers=user.headers) as client,
    ):
        whole = await client.get(f"{files}/plot.png")
        part = await client.get(f"{files}/plot.png", headers={"Range": "bytes=1000-1999"})
        end = await client.get(f"{files}/plot.png", headers={"Range": "bytes=-10"})
        past = await client.get(f"{files}/plot.png", headers={"Range": f"bytes={len(DATA)}-"})
        gone = await client.get(f"{files}/gone.png")
    async with httpx.AsyncClient(base_url=s3) as bucket:
        listed = (await bucket.get("/lab", params={"list-type": "2", "prefix": "artifacts/"})).text

    assert f"artifacts/jobs/{job_id}/plot.png" in listed
    assert (whole.status_code, whole.content) == (200, DATA)
    assert (part.status_code, part.content) == (206, DATA[1000:2000])
    assert part.headers["content-range"] == f"bytes 1000-1999/{len(DATA)}"
    assert end.content == DATA[-10:]
    assert past.status_code == 416
    assert gone.status_code == 404
    assert whole.headers["content-disposition"] == 'attachment; filename="plot.png"'
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in whole.headers["content-security-policy"]
