"""What a university's provider says of a user, and how much of it the lab believes. Pure.

Account holders at the provider can write much of it: a claim counts only in the form that the standard gives
it. `email_verified` is the boolean true or it proves nothing; an address is compared by its exact characters.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from api.http.problems import OpenidRefused, shortened
from gpulab import names
from gpulab.schemas.users import Email
from gpulab.states import Role

MAX_SUBJECT_LENGTH = 255
"""OpenID Connect Core 1.0, section 2."""
Claims = Mapping[str, Any]
_email: TypeAdapter[str] = TypeAdapter(Email)
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Statement:
    """The claims of a signed ID token, and those of the provider's userinfo, where it was asked."""

    id_token: Claims
    userinfo: Claims = field(default_factory=dict)
    userinfo_failure: str | None = None
    """Why there is no userinfo, where it was asked for."""

    @property
    def sources(self) -> tuple[Claims, Claims]:
        """The signed one first."""
        return self.id_token, self.userinfo

    def first(self, name: str) -> Any:
        """The claim from the first source that has it; null where none does."""
        return next((found for source in self.sources if (found := claim(source, name)) is not _ABSENT), None)


@dataclass(frozen=True, slots=True)
class Address:
    email: str
    verified: bool


@dataclass(frozen=True, slots=True)
class FoundRole:
    """Instructor, or student with the reason why not instructor."""

    role: Role
    reason: str | None = None
    misconfigured: bool = False
    """Whether the claim is missing or of a wrong kind for everybody, not only for this user."""


def subject(claims: Claims) -> str:
    """Who it is to the provider. Raises `OpenidRefused`."""
    found = claims.get("sub")
    if not isinstance(found, str) or not 0 < len(found) <= MAX_SUBJECT_LENGTH or not found.isprintable():
        form = f"a string of 1 to {MAX_SUBJECT_LENGTH} printable characters"
        raise OpenidRefused(f"the provider does not identify you: sub must be {form}")
    return found


def is_complete(id_token: Claims, role_claim: str) -> bool:
    """Whether the ID token has all that the lab looks at, so that userinfo need not be asked."""
    wanted = ["email", "email_verified", "name", *([role_claim] if role_claim else [])]
    return all(claim(id_token, name) is not _ABSENT for name in wanted)


def address(statement: Statement, *, verification_optional: bool) -> Address:
    """The user's address. Raises `OpenidRefused` where there is none, or the provider has not verified it.

    With `verification_optional`, one about which the provider says nothing at all is taken as not verified.
    """
    source = next((source for source in statement.sources if source.get("email")), None)
    if source is None:
        why = f" ({statement.userinfo_failure})" if statement.userinfo_failure else ""
        raise OpenidRefused(f"the provider names no e-mail address of yours{why}")
    email = _checked_email(source["email"])
    verified = source.get("email_verified", _ABSENT)
    if verified is _ABSENT and statement.userinfo.get("email") == source["email"]:
        verified = statement.userinfo.get("email_verified", _ABSENT)
    if verified is True:
        return Address(email, verified=True)
    if verified is _ABSENT and verification_optional:
        return Address(email, verified=False)
    raise unverified("nothing" if verified is _ABSENT else shortened(json.dumps(verified, default=str)))


def unverified(said: object) -> OpenidRefused:
    """The refusal of an address of which the provider said something else than that it verified it."""
    message = f"the provider must say that it verified your e-mail address; its email_verified is {said}, not true"
    return OpenidRefused(message)


def _checked_email(found: Any) -> str:
    try:
        return _email.validate_python(found, strict=True)
    except ValidationError as error:
        raise OpenidRefused(f"the provider's e-mail address cannot be used: {error.errors()[0]['msg']}") from None


def display_name(statement: Statement, email: str, max_length: int) -> str:
    """What to call the user; their address where the provider gives no name that can be shown."""
    found = statement.first("name")
    name = names.cleaned(found[: 2 * max_length]) if isinstance(found, str) else ""
    return (name or email)[:max_length].strip()


def role(statement: Statement, role_claim: str, instructors: frozenset[str]) -> FoundRole:
    """Instructor if the configured claim has one of the configured values; never admin."""
    if not (role_claim and instructors):
        return FoundRole(Role.STUDENT)
    for source in statement.sources:
        found = claim(source, role_claim)
        if found is not _ABSENT:
            return _role_in(found, role_claim, instructors)
    if statement.userinfo_failure:
        reason = f"the ID token has no claim {role_claim}, and {statement.userinfo_failure}"
    elif role_claim.split(".", maxsplit=1)[0] in _by_reference(statement.id_token):
        reason = f"the provider sends the claim {role_claim} by reference only: the user has too many groups"
    else:
        reason = f"neither the ID token nor userinfo has a claim {role_claim}; does the provider want another scope?"
    return FoundRole(Role.STUDENT, reason, misconfigured=True)


def _by_reference(id_token: Claims) -> Claims:
    """Claims that the provider only says where to fetch (OpenID Connect Core 1.0, section 5.6.2)."""
    found = id_token.get("_claim_names")
    return found if isinstance(found, Mapping) else {}


def _role_in(found: Any, role_claim: str, instructors: frozenset[str]) -> FoundRole:
    values = _values(found)
    if values is None:
        kind = type(found).__name__
        reason = f"the claim {role_claim} is neither a string nor a list of strings ({kind})"
        return FoundRole(Role.STUDENT, reason, misconfigured=True)
    if values & instructors:
        return FoundRole(Role.INSTRUCTOR)
    said = shortened(", ".join(sorted(values)) or "nothing")
    return FoundRole(Role.STUDENT, f"the claim {role_claim} says {said}, none of {', '.join(sorted(instructors))}")


def _values(found: Any) -> set[str] | None:
    """A string is one value, or several with blanks between; an entry of a list is one."""
    if isinstance(found, str):
        return {found.strip(), *found.split()} - {""}
    if isinstance(found, list) and all(isinstance(value, str) for value in found):
        return set(found)
    return None


def claim(claims: Claims, path: str) -> Any:
    """The claim of that name, or the one at a path such as `realm_access.roles`; `_ABSENT` where there is none.

    A name goes before a path: `https://uni.example/groups` itself has dots.
    """
    if path in claims:
        return claims[path]
    for dot in (place for place, character in enumerate(path) if character == "."):
        below = claims.get(path[:dot])
        if isinstance(below, Mapping) and (found := claim(below, path[dot + 1 :])) is not _ABSENT:
            return found
    return _ABSENT


def listed(setting: str) -> frozenset[str]:
    """The parts between commas; a list in JSON where one of them has a comma. Raises `ValueError`."""
    if not setting.lstrip().startswith("["):
        return frozenset(part.strip() for part in setting.split(",") if part.strip())
    found = json.loads(setting)
    if not all(isinstance(part, str) for part in found):
        raise ValueError(f"a list of strings is expected, not {setting}")
    return frozenset(found)
