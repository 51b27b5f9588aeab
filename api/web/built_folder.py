"""Files of a folder that was built, as answers, with the headers that every page of the lab has."""

import mimetypes
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse

from api.http.etag import takes

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' blob: data:; "
    "font-src 'self'; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
SAFE = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
ENCODINGS = (("br", ".br"), ("gzip", ".gz"))


class BuiltFolder:
    """A folder that everybody may read as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def holds(self, name: str) -> bool:
        """Whether the build has this file. Nothing outside the build is one, whatever dots the name holds."""
        if "\0" in name or name.endswith((".br", ".gz")):
            return False
        try:
            place = (self._path / name.lstrip("/")).resolve()
            return place.is_relative_to(self._path.resolve()) and place.is_file()
        except OSError:  # longer than the file system's names are
            return False

    def text(self, name: str) -> str:
        """Raises FileNotFoundError."""
        return (self._path / name).read_text(encoding="utf-8")

    def file(self, name: str, request: Request, kept: str) -> FileResponse:
        """One file, compressed if it was and the reader can read that. `kept` says how long a browser may keep it."""
        headers = SAFE | {"Cache-Control": kept, "Vary": "Accept-Encoding"}
        media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        accepted = request.headers.get("accept-encoding", "")
        for encoding, suffix in ENCODINGS:
            packed = self._path / (name + suffix)
            if takes(encoding, accepted) and packed.is_file():
                return FileResponse(packed, headers=headers | {"Content-Encoding": encoding}, media_type=media_type)
        return FileResponse(self._path / name, headers=headers, media_type=media_type)
