"""The object store for files of runs: a folder, or S3-compatible storage. Keys are ours; no client names one."""

from pathlib import Path
from urllib.parse import unquote, urlparse

from obstore.store import LocalStore, ObjectStore, from_url


def open_store(url: str) -> ObjectStore:
    """The store at `file:///folder` (made if missing) or `s3://bucket/prefix` (credentials from the environment)."""
    parts = urlparse(url)
    if parts.scheme == "file":
        folder = Path(unquote(parts.path))
        folder.mkdir(parents=True, exist_ok=True)
        return LocalStore(folder)
    return from_url(url)
