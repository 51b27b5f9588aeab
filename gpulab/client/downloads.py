"""Fetching an artifact: streamed to disk, continued where it broke, checked, and only then given its name."""

import hashlib
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from gpulab.client.local_files import local_name, naming
from gpulab.client.operations import Operations, job_path
from gpulab.client.steps import (
    TRY_LATER,
    Backoff,
    Disconnected,
    Open,
    Read,
    Request,
    Response,
    Sleep,
    Steps,
    accepted,
    retry_after_seconds,
)
from gpulab.errors import DownloadFailed, GpulabError, LabUnreachable
from gpulab.schemas import ArtifactRead

SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
SHA256 = re.compile(r"[0-9a-f]{64}")


def download(
    operations: Operations, job_id: UUID, name: str, folder: Path, on_progress: Callable[[int], object] | None
) -> Steps[Path]:
    """Put the artifact `name` into `folder` and return its path. A half download is continued by the next call.

    Raises DownloadFailed when there is no such artifact, when its name is not a plain file name, or when the bytes
    do not have the promised SHA-256; and OSError, naming the file, when the disk is full or cannot be written.
    """
    artifacts = yield from operations.artifacts(job_id)
    artifact = _chosen(artifacts, job_id, name)
    target = folder / local_name(name, (other.name for other in artifacts))
    part = folder / f".{name}.{artifact.sha256[:16]}.part"
    request = Request("GET", job_path(job_id, "artifacts", name))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with naming(target):
            yield from _fetch(request, part, artifact, Backoff(operations.retry_seconds), on_progress or _unseen)
            return part.replace(target)
    except GpulabError:
        raise
    except OSError:
        # A disk that is full or cannot be written gets its room back. What only broke off stays, to be continued.
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def _unseen(_bytes: int) -> None:
    pass


def _fetch(
    request: Request, part: Path, artifact: ArtifactRead, backoff: Backoff, progress: Callable[[int], object]
) -> Steps[None]:
    resumed = part.exists()
    yield from _fill(request, part, artifact.size_bytes, backoff, progress)
    if resumed and not _is_whole(part, artifact):
        part.unlink()
        backoff.reset()
        yield from _fill(request, part, artifact.size_bytes, backoff, progress)
    if not _is_whole(part, artifact):
        part.unlink()
        raise DownloadFailed(f"{artifact.name}: the bytes received do not have the SHA-256 {artifact.sha256}")


def _chosen(artifacts: list[ArtifactRead], job_id: UUID, name: str) -> ArtifactRead:
    named = [artifact for artifact in artifacts if artifact.name == name]
    if not named:
        known = ", ".join(artifact.name for artifact in artifacts) or "none"
        raise DownloadFailed(f"job {job_id} has no artifact {name!r}; it has: {known}")
    if not SAFE_NAME.fullmatch(name):
        raise DownloadFailed(f"the artifact name {name!r} is not a plain file name")
    newest = max(named, key=lambda artifact: artifact.attempt)
    if not SHA256.fullmatch(newest.sha256):
        raise DownloadFailed(f"{name}: {newest.sha256!r} is not a SHA-256")
    return newest


def _fill(
    request: Request, part: Path, size_bytes: int, backoff: Backoff, progress: Callable[[int], object]
) -> Steps[None]:
    """Append to `part` until it has `size_bytes`, through broken connections."""
    part.touch()
    while (have_bytes := part.stat().st_size) < size_bytes:
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        if have_bytes:
            headers["Range"] = f"bytes={have_bytes}-"
        reason, at_least_seconds = "the connection ended early", 0.0
        try:
            response: Response = yield Open(Request("GET", request.path, headers=headers))
            if response.status in TRY_LATER:
                reason, at_least_seconds = f"HTTP {response.status}", retry_after_seconds(response)
            else:
                yield from _append(response, part, size_bytes, backoff, progress)
        except Disconnected as gone:
            reason = str(gone)
        if part.stat().st_size >= size_bytes:
            return
        delay = backoff.next_delay(at_least_seconds)
        if delay is None:
            raise LabUnreachable(f"the download stopped at byte {part.stat().st_size} of {size_bytes}: {reason}")
        yield Sleep(delay)


def _append(
    response: Response, part: Path, size_bytes: int, backoff: Backoff, progress: Callable[[int], object]
) -> Steps[None]:
    if response.status == 416:
        part.write_bytes(b"")
        return
    accepted(response)
    with part.open("ab") as file:
        if response.status != 206:
            file.truncate(0)
        while chunk := (yield Read()):
            backoff.reset()
            file.write(chunk)
            progress(file.tell())
            if file.tell() > size_bytes:
                raise DownloadFailed(f"{part.name}: more than the announced {size_bytes} bytes came")


def _is_whole(part: Path, artifact: ArtifactRead) -> bool:
    with part.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return digest == artifact.sha256 and part.stat().st_size == artifact.size_bytes
