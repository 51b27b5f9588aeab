"""What a machine keeps once it has joined: how to find the lab again, and its own token."""

import os
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from server.joining.join_line import Address

FILE = "membership.json"


class MembershipError(Exception):
    """The file cannot be read; the message names it."""


class Membership(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    address: str
    fingerprint: str
    """SHA-256 of the lab's certificate, in hexadecimal digits."""
    node: str
    token: str

    @property
    def lab(self) -> Address:
        return Address.parse(self.address)

    @property
    def pinned(self) -> bytes:
        return bytes.fromhex(self.fingerprint)

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """None where the machine has not joined with this folder. Raises `MembershipError`."""
        path = folder / FILE
        try:
            found = cls.model_validate_json(path.read_bytes())
            Address.parse(found.address)
            bytes.fromhex(found.fingerprint)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise MembershipError(f"{path} cannot be read: {error.strerror}") from error
        except (ValidationError, ValueError) as error:
            raise MembershipError(f"{path} is damaged: remove it, and join again with a join line") from error
        return found

    def save(self, folder: Path) -> None:
        """Whole or not at all, and readable by nobody else. Raises `OSError`."""
        fresh = folder / f".{FILE}.new"
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(self.model_dump_json().encode())
        fresh.replace(folder / FILE)
