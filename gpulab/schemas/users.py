"""Users, tokens, sessions and the audit on the wire."""

import re
from datetime import datetime
from typing import Annotated, Any
from unicodedata import category, normalize
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, ConfigDict, Field, StringConstraints

from gpulab import names
from gpulab.addresses import pasted
from gpulab.schemas.base import Incoming, Line, Outgoing, in_words
from gpulab.states import Erasure, Role

MAX_COUNT = 100_000
MAX_HOURS = 1e9
MIN_YEAR = 2
MAX_YEAR = 9998


QUOTES = frozenset({"Pi", "Pf"})
"""Categories of the quotation marks that word processors write."""


def _text(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("a string is expected")  # noqa: TRY004 - pydantic makes a refusal of it
    return value


def _address(text: str) -> str:
    """Composed and in lower case. Refused where a character of it would become one of ASCII on the way, and where what
    stands around an address was taken for a part of it.
    """
    for place, character in enumerate(text):
        forms = (normalize("NFKD", character), character.lower())
        if not character.isascii() and any(form.isascii() for form in forms):
            message = (
                f"the character {names.called(character)} at place {place + 1} looks like another character but is not"
            )
            raise ValueError(message)
    found = names.address_form(names.checked(text))
    local, _, domain = found.rpartition("@")
    quote = next((character for character in local if category(character) in QUOTES), None)
    if quote is not None:
        raise ValueError(f"the character {names.called(quote)} is not allowed in an address")
    if not (all(map(_is_of_domain, domain)) and all(domain.split("."))):
        raise ValueError(f"the part after @ is not the name of a host: {domain[:100]}")
    return found


def _is_of_domain(character: str) -> bool:
    return character in "-._" or category(character)[0] in "LMN"


TIME = re.compile(
    r"[12]\d{3}-\d{2}-\d{2}([Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)? ?([Zz]|[+-]([01]\d|2[0-3]):?[0-5]\d)?)?"
)
TIME_FORMS = "2030-01-31 (the end of that day), 2030-01-31T18:00, or with an offset 2030-01-31T18:00:00+01:00"


def _time(text: str) -> str:
    """In ISO 8601, as `datetime.fromisoformat` reads it: `2030-01-31`, `2030-01-31T18:00` or `…+01:00`."""
    if not TIME.fullmatch(text):
        raise ValueError(f"write a time as {TIME_FORMS}")
    datetime.fromisoformat(found := text.replace(" ", "T", 1).replace(" ", "").upper())
    return found


def _instant(value: Any) -> Any:
    # Pydantic reads digits as seconds since 1970, which no user means.
    if isinstance(_text(value), str) and re.fullmatch(r"[+-]?[\d.]+", value):
        raise ValueError("a number is not a time; write 2030-01-31T18:00:00+01:00")
    return value


Email = Annotated[
    str,
    StringConstraints(
        pattern=r"""^[^@\s\x00-\x1f\x7f<>",;:\\()\[\]]+@[^@\s\x00-\x1f\x7f<>",;:\\()\[\]]+$""",
        min_length=3,
        max_length=254,
        strip_whitespace=True,
    ),
    in_words("is not an e-mail address, such as ada@uni.example"),
    AfterValidator(_address),
]
"""An e-mail address; upper and lower case do not matter."""


def _bounded(moment: datetime) -> datetime:
    # With an offset, the first and the last year of the calendar reach beyond it, and cannot be read back.
    if not MIN_YEAR <= moment.year <= MAX_YEAR:
        raise ValueError(f"the year must lie between {MIN_YEAR} and {MAX_YEAR}")
    return moment


Moment = Annotated[
    AwareDatetime,
    Field(strict=False),
    BeforeValidator(_instant, json_schema_input_type=str),
    AfterValidator(_bounded),
]
"""An instant in RFC 3339, with its offset."""
Time = Annotated[str, StringConstraints(max_length=40, strip_whitespace=True), AfterValidator(_time)]
"""A date, which is the end of that day, or a time; without an offset in the lab's time zone."""
AnId = Annotated[UUID, Field(strict=False), BeforeValidator(_text, json_schema_input_type=str)]
ARole = Annotated[Role, Field(strict=False)]
Group = Annotated[Line, Field(max_length=100)]
Weight = Annotated[float, Field(gt=0, le=1000)]
Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Hours = Annotated[float, Field(ge=0, le=MAX_HOURS)]


class UserCreate(Incoming):
    """A user to let in."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "sam", "role": "student", "section": "A"}]})

    name: Line
    """What they are called in the lab; several users may be called so if they have addresses."""
    role: ARole = Role.STUDENT
    email: Email | None = None
    """Unique; the roster and a university's sign-in know a user by it."""
    section: Group | None = None
    team: Group | None = None
    weight: Weight = 1.0
    """Share of the lab beside others."""
    max_running: Count | None = None
    """Jobs at once; null leaves the lab's limit."""
    max_queued: Count | None = None
    max_gpu_hours: Hours | None = None
    max_gib_hours: Hours | None = None
    token_expires_at: Moment | None = None
    """When the first token ends; null is never."""
    course_id: AnId | None = None
    """The course that they join; null: the only open one that you teach."""


class UserUpdate(Incoming):
    """What to change of a user; what is left out stays, null takes a value away (not of `role` and `weight`)."""

    role: ARole | None = None
    email: Email | None = None
    section: Group | None = None
    team: Group | None = None
    weight: Weight | None = None
    max_running: Count | None = None
    max_queued: Count | None = None
    max_gpu_hours: Hours | None = None
    max_gib_hours: Hours | None = None
    forget_sign_in: bool = False
    """True forgets their account at the university; the next verified sign-in with their address is theirs again."""


class UserRead(Outgoing):
    id: UUID
    name: str
    email: str | None
    role: Role
    section: str | None
    team: str | None
    weight: float
    max_running: int | None
    max_queued: int | None
    max_gpu_hours: float | None
    max_gib_hours: float | None
    created_at: datetime
    disabled_at: datetime | None
    """Since when they are shut out; null for who is not."""
    erasure: Erasure | None = None
    """What is under way: they are being anonymised or deleted. Null otherwise."""
    anonymised_at: datetime | None = None
    """When a pseudonym took the place of their name; null for others."""


class UserCreated(UserRead):
    token: str
    """Their first token. It is shown here and never again."""


class ErasureOrder(Incoming):
    """How to take a user out of the lab."""

    mode: Annotated[Erasure, Field(strict=False)]
    """`anonymise`: a pseudonym takes the name's place, and runs, submissions and grades stay. `delete`: they go."""
    dry_run: bool = False
    """Only count what it is about."""


class ErasureRead(Outgoing):
    """What it is about to anonymise or delete a user."""

    user_id: UUID
    mode: Erasure
    dry_run: bool
    runs: int
    live_runs: int
    """Of these, runs that wait or run: they are cancelled first."""
    studies: int
    submissions: int
    grades: int
    programs: int
    files: int
    file_bytes: int
    tokens: int
    audit_events: int
    """Events by them or on them; they stay, without the name."""


class UserPage(Outgoing):
    items: list[UserRead]
    next_cursor: str | None


class MeRead(Outgoing):
    id: UUID
    name: str
    role: Role
    token_name: str | None
    """Null for a session through the university's sign-in."""
    token_expires_at: datetime | None
    """When the token, or the session of a browser, ends."""
    email: str | None = None
    section: str | None = None
    team: str | None = None
    weight: float = 1.0
    max_running: int | None = None
    max_queued: int | None = None
    max_gpu_hours: float | None = None
    max_gib_hours: float | None = None
    teaches: bool = False
    """Whether the user is an instructor of the lab or of one of its courses, or an admin."""


class TokenCreate(Incoming):
    """A further token."""

    name: Line
    """What it is for: `laptop`, `notebook`."""
    expires_at: Moment | None = None
    """Null is never."""
    user_id: AnId | None = None
    """The owner; staff may name another user."""


class TokenRead(Outgoing):
    id: UUID
    user_id: UUID
    name: str
    prefix: str | None
    """Its first characters, to know it again by."""
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class TokenCreated(TokenRead):
    token: str
    """Shown here and never again."""


class TokenPage(Outgoing):
    items: list[TokenRead]
    next_cursor: str | None


def _bare(value: Any) -> Any:
    return pasted(value) if isinstance(value, str) else value


class SignIn(Incoming):
    """A token to turn into a session of a browser."""

    token: Annotated[str, StringConstraints(min_length=1, max_length=200), BeforeValidator(_bare)]


class OpenIdRead(Outgoing):
    """The sign-in through a university's own accounts."""

    configured: bool
    start: str | None
    """Where a browser begins it; `?then=/path` says where to come back to."""


class SessionRead(MeRead):
    """Who signed in. The cookie came beside it."""

    csrf: str
    """To be sent as `X-CSRF-Token` with every request that changes something; also in the cookie `gpulab_csrf`."""


class AuditEventRead(Outgoing):
    """Who did what, on what, when and from where."""

    id: int
    at: datetime
    actor_id: UUID | None
    actor: str
    """`user:<name>`, `anonymous`, `operator`."""
    action: str
    """`thing.done`: `user.created`, `session.opened`, `job.cancel_requested`, `node.drained`, ..."""
    target: str | None
    """`user:<id>`, `job:<id>`, `node:<name>`, ..."""
    target_name: str | None = None
    """What the target is called today, if it has a name."""
    address: str | None
    request_id: str | None
    details: dict[str, Any]


class AuditPage(Outgoing):
    items: list[AuditEventRead]
    next_cursor: str | None
