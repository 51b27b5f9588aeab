"""Fetching an artifact: streamed to disk, continued where it broke, checked, and only then given its name."""

import hashlib
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import httpx

from gpulab.client.local_files import local_name, naming
from gpulab.client.transport.answers import TRY_LATER, accepted, retry_after_seconds
from gpulab.client.transport.http import Disconnected, Http, path_of
from gpulab.client.transport.pauses import Backoff, pause
from gpulab.errors import DownloadFailed, GpulabError, LabUnreachable
from gpulab.schemas import ArtifactPage, ArtifactRead

SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
SHA256 = re.compile(r"[0-9a-f]{64}")


def artifacts(http: Http, job_id: UUID) -> list[ArtifactRead]:
    """The files a run kept."""
    return http.get(ArtifactPage, path_of("jobs", job_id, "artifacts")).items


def download(
    http: Http, job_id: UUID, name: str, folder: Path, on_progress: Callable[[int], object] | None = None
) -> Path:
    """Put the artifact `name` into `folder` and return its path. A half download is continued by the next call.

    Raises DownloadFailed if there is no such artifact, if its name is not a plain file name, or if the bytes do not
    have the promised SHA-256; and OSError, naming the file, if the disk is full or cannot be written.
    """
    found = artifacts(http, job_id)
    artifact = _chosen(found, job_id, name)
    target = folder / local_name(name, (other.name for other in found))
    part = folder / f".{name}.{artifact.sha256[:16]}.part"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with naming(target):
            _Download(http, path_of("jobs", job_id, "artifacts", name), part, artifact, on_progress or _unseen).run()
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


class _Download:
    """One artifact on its way into the file `part`."""

    def __init__(
        self, http: Http, path: str, part: Path, artifact: ArtifactRead, progress: Callable[[int], object]
    ) -> None:
        self._http = http
        self._path = path
        self._part = part
        self._artifact = artifact
        self._progress = progress
        self._backoff = Backoff(http.retry_seconds)

    def run(self) -> None:
        resumed = self._part.exists()
        self._fill()
        if resumed and not self._is_whole():
            self._part.unlink()
            self._backoff.reset()
            self._fill()
        if not self._is_whole():
            self._part.unlink()
            raise DownloadFailed(
                f"{self._artifact.name}: the bytes received do not have the SHA-256 {self._artifact.sha256}"
            )

    def _fill(self) -> None:
        """Append to `part` until it has all bytes, through broken connections."""
        size_bytes = self._artifact.size_bytes
        self._part.touch()
        while (have_bytes := self._part.stat().st_size) < size_bytes:
            reason, at_least_seconds = self._attempt(have_bytes)
            if self._part.stat().st_size >= size_bytes:
                return
            delay = self._backoff.next_delay(at_least_seconds)
            if delay is None:
                at = self._part.stat().st_size
                raise LabUnreachable(f"the download stopped at byte {at} of {size_bytes}: {reason}")
            pause(delay)

    def _attempt(self, have_bytes: int) -> tuple[str, float]:
        """Fetch what is missing; why it ended early, if it did, and how long the lab wants to be left alone."""
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        if have_bytes:
            headers["Range"] = f"bytes={have_bytes}-"
        try:
            with self._http.stream(self._path, headers) as response:
                if response.status_code in TRY_LATER:
                    return f"HTTP {response.status_code}", retry_after_seconds(response)
                self._append(response)
        except Disconnected as gone:
            return str(gone), 0.0
        return "the connection ended early", 0.0

    def _append(self, response: httpx.Response) -> None:
        if response.status_code == 416:
            self._part.write_bytes(b"")
            return
        accepted(response, self._http.lab)
        with self._part.open("ab") as file:
            if response.status_code != 206:
                file.truncate(0)
            for chunk in response.iter_bytes():
                self._backoff.reset()
                file.write(chunk)
                self._progress(file.tell())
                if file.tell() > self._artifact.size_bytes:
                    raise DownloadFailed(
                        f"{self._part.name}: more than the announced {self._artifact.size_bytes} bytes came"
                    )

    def _is_whole(self) -> bool:
        with self._part.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return digest == self._artifact.sha256 and self._part.stat().st_size == self._artifact.size_bytes
