"""A request as the routes of /v1 read it: its body bounded and strict, its cookies read in one pass."""

from typing import Any

from fastapi import Request

from api.http import strict_json
from api.http.problems import BodyTooLarge, MalformedBody, UnsupportedMediaType

MAX_BODY_BYTES = 16_384
"""Of operations that are not named below: a few short fields."""
LARGER_BODIES = {
    "submit_job": 262_144,
    "ask_estimate": 262_144,
    "submit_study": 262_144,
    "create_assignment": 65_536,
    "change_assignment": 65_536,
    "import_roster": 1_000_000,
    "import_grades": 1_000_000,
    "give_grade": 65_536,
    "sign_in": 4_096,
}
"""The longest body of an operation in bytes, where it is another than `MAX_BODY_BYTES`."""


class StrictRequest(Request):
    """`json()` is strict, and the body is bounded whether or not its length was announced."""

    max_body_bytes = MAX_BODY_BYTES

    @property
    def cookies(self) -> dict[str, str]:
        """As they were sent. The framework's own reading of quoted values takes the square of their length."""
        if not hasattr(self, "_cookies"):
            pairs = (pair.partition("=") for line in self.headers.getlist("cookie") for pair in line.split(";"))
            self._cookies = {name.strip(): value.strip() for name, equals, value in pairs if equals}
        return self._cookies

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            limit = self.max_body_bytes
            announced = self.headers.get("content-length", "")
            if announced.isdecimal() and int(announced[:20]) > limit:
                raise BodyTooLarge(f"at most {limit} bytes are accepted here, {announced[:20]} were announced")
            chunks: list[bytes] = []
            size = 0
            async for chunk in self.stream():
                size += len(chunk)
                if size > limit:
                    raise BodyTooLarge(f"at most {limit} bytes are accepted here")
                chunks.append(chunk)
            self._body = b"".join(chunks)
            self.scope["state"]["body_bytes"] = size
        return self._body

    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                raise UnsupportedMediaType(f"the content type must be application/json, not {kind[:100] or 'absent'}")
            packed = self.headers.get("content-encoding", "identity").strip().lower()
            if packed != "identity":
                raise UnsupportedMediaType(f"the body must not be compressed; its Content-Encoding is {packed[:100]}")
            body = await self.body()
            if not body:
                raise MalformedBody("the body is empty")
            self._json = strict_json.loads(body)
        return self._json
