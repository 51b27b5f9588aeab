"""The files of a run, as the lab reads them: records, artifacts, checkpoints. Standard library only.

`records.ndjson` gets one JSON object a line, written with a single `write(2)` each. So threads and forked processes can
write at the same time, and a reader that stops at the last newline never sees half a record. Files appear under their
final name when complete.
"""

import errno
import hashlib
import json
import mimetypes
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gpulab.run.values import check_artifact_name, check_metric_name, check_step, number_as_json

RECORDS_FILE = "records.ndjson"
RESULT_FILE = "result.json"
ARTIFACTS_FOLDER = "artifacts"
CHECKPOINTS_FOLDER = "checkpoints"
LATEST_CHECKPOINT = "latest.json"
MEDIA_TYPES = {".ipynb": "application/x-ipynb+json"}
"""Those that Python does not know."""
_as_json = json.JSONEncoder(separators=(",", ":")).encode
"""Made once: `json.dumps` makes an encoder for every call with separators."""


class RunFiles:
    """Writes one attempt's records and files below `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for part in (ARTIFACTS_FOLDER, CHECKPOINTS_FOLDER):
            (folder / part).mkdir(parents=True, exist_ok=True)
        self._records = os.open(folder / RECORDS_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._known_names: set[str] = set()

    def record(self, kind: str, **fields: Any) -> None:
        """Append one record; `time` is seconds since the epoch. Raises `OSError` if it cannot be written whole."""
        line = self._encode(kind, fields)
        written = os.write(self._records, line)
        if written < len(line):  # a full disk; half a line must not spoil the next one
            os.ftruncate(self._records, os.fstat(self._records).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), RECORDS_FILE)

    def _encode(self, kind: str, fields: Mapping[str, Any]) -> bytes:
        return f"{_as_json({'time': time.time(), 'type': kind, **fields})}\n".encode()

    def metrics(self, step: int, values: Mapping[str, Any], **fields: Any) -> None:
        whole = check_step(step)
        for name in values.keys() - self._known_names:
            self._known_names.add(check_metric_name(name, len(self._known_names)))
        numbers = {name: number_as_json(value, name) for name, value in values.items() if self._is_kept(name)}
        if numbers:
            self.record("metric", step=whole, values=numbers, **fields)

    def _is_kept(self, name: str) -> bool:
        del name
        return True

    def progress(self, fraction: float, message: str = "") -> None:
        share = float(fraction)
        self.record("progress", fraction=min(max(share, 0.0), 1.0) if share == share else 0.0, message=message[:200])

    @contextmanager
    def artifact(self, name: str) -> Iterator[Path]:
        target = self.folder / ARTIFACTS_FOLDER / check_artifact_name(name)
        with whole_file(target) as path:
            yield path
        self._announce("artifact", target)

    @contextmanager
    def checkpoint(self, step: int) -> Iterator[Path]:
        folder = self.folder / CHECKPOINTS_FOLDER
        name = f"step-{check_step(step)}.ckpt"
        with whole_file(folder / name) as path:
            yield path
        with whole_file(folder / LATEST_CHECKPOINT) as path:
            path.write_text(json.dumps({"step": int(step), "file": name}), encoding="utf-8")
        for old in folder.glob("step-*.ckpt"):
            if old.name != name:
                old.unlink(missing_ok=True)
        self._announce("checkpoint", folder / name, step=int(step))

    def latest_checkpoint(self) -> tuple[int, Path] | None:
        latest = self.folder / CHECKPOINTS_FOLDER / LATEST_CHECKPOINT
        if not latest.exists():
            return None
        found = json.loads(latest.read_text(encoding="utf-8"))
        self.record("resumed", step=found["step"])
        return found["step"], latest.parent / found["file"]

    def close(self) -> None:
        os.close(self._records)

    def _announce(self, kind: str, path: Path, **fields: Any) -> None:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        media_type = MEDIA_TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        size_bytes = path.stat().st_size
        self.record(kind, name=path.name, size_bytes=size_bytes, sha256=digest, media_type=media_type, **fields)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a path beside it to write; on a clean exit that file gets the final name."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
