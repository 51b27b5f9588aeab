"""The line that joins a machine: `ADDRESS#CODE`, where the code holds the certificate's fingerprint and the secret."""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Self

FINGERPRINT_BYTES = 32
SECRET_BYTES = 24
_CODE = re.compile(r"[A-Za-z0-9_-]+")
_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^\s#:\[\]]+):(?P<port>\d{1,5})")
MAX_PORT = 65_535


class JoinLineError(ValueError):
    """It is no join line; the message says what is wrong with it, without the secret."""


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises `JoinLineError`."""
        found = _ADDRESS.fullmatch(text)
        if found is None or not 0 < int(found["port"]) <= MAX_PORT:
            raise JoinLineError(f"{text[:80]!r} is not an address of the form HOST:PORT")
        return cls(found["host"].strip("[]"), int(found["port"]))


@dataclass(frozen=True, slots=True)
class JoinLine:
    address: Address
    fingerprint: bytes
    """SHA-256 of the lab's certificate."""
    secret: str

    def __str__(self) -> str:
        code = base64.urlsafe_b64encode(self.fingerprint + _decoded(self.secret)).rstrip(b"=").decode()
        return f"{self.address}#{code}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Of a line as it was printed, with or without the command before it. Raises `JoinLineError`."""
        words = text.split()
        address, sign, code = (words[-1] if words else "").partition("#")
        if not sign:
            raise JoinLineError(
                "this is not a join line: a join line has the form ADDRESS#CODE, as `gpulab up --share` prints it"
            )
        try:
            raw = _decoded(code)
        except ValueError:
            raw = b""
        if len(raw) != FINGERPRINT_BYTES + SECRET_BYTES:
            raise JoinLineError("the code after # is not complete: copy the whole line that the lab printed")
        return cls(Address.parse(address), raw[:FINGERPRINT_BYTES], encoded(raw[FINGERPRINT_BYTES:]))


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    """Raises `ValueError`."""
    if not _CODE.fullmatch(text):
        raise ValueError(text)
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise ValueError(text) from error
