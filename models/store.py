"""The object store for files of runs: a folder, or S3-compatible storage. Keys are ours; no client names one."""

from pathlib import Path
from typing import cast
from urllib.parse import unquote, urlparse

from obstore.store import LocalStore, ObjectStore, from_url

from server.joining.store import JoinedStore

JOINED = "joined"
"""Where a machine that joined a shared lab finds its store: `joined:///SOCKET`. The joining writes it."""


def open_store(url: str) -> ObjectStore:
    """The store at `file:///folder` (made if missing) or `s3://bucket/prefix` (credentials from the environment)."""
    parts = urlparse(url)
    if parts.scheme == "file":
        folder = Path(unquote(parts.path))
        folder.mkdir(parents=True, exist_ok=True)
        return LocalStore(folder)
    if parts.scheme == JOINED:
        # It has what workers use of a store.
        return cast("ObjectStore", JoinedStore(Path(unquote(parts.path))))
    return from_url(url)
