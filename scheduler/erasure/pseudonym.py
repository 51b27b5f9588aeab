"""A pseudonym in the place of a name and an address. Pure."""

import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Pseudonym:
    user_id: UUID
    name: str
    email: str | None

    @property
    def text(self) -> str:
        """The same for ever: the random end of the user's id."""
        return f"user-{self.user_id.hex[-12:]}"

    @property
    def everywhere(self) -> list[str]:
        """What means this user wherever it stands: the address, and a name of several words."""
        full_name = [self.name] if " " in self.name else []
        return [*([self.email] if self.email else []), *full_name]

    @property
    def own(self) -> list[str]:
        """What means this user in texts of their own."""
        return [*([self.email] if self.email else []), self.name]

    def in_text(self, text: str, words: list[str]) -> str:
        """Each of the words, where it stands as one: `Ada` is not replaced in `Adapter`."""
        for word in words:
            text = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", self.text, text, flags=re.IGNORECASE)
        return text

    def in_json(self, value: Any, words: list[str]) -> Any:
        """In all texts of it; the names of fields stay."""
        if isinstance(value, str):
            return self.in_text(value, words)
        if isinstance(value, list):
            return [self.in_json(one, words) for one in value]
        if isinstance(value, dict):
            return {key: self.in_json(one, words) for key, one in value.items()}
        return value
