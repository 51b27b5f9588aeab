"""Banners of the lab, and notifications by mail and webhook, on the wire."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

from gpulab import names
from gpulab.schemas.base import Incoming, Outgoing, in_words
from gpulab.schemas.users import AnId, Time
from gpulab.states import NotificationKind

MAX_BANNER_CHARACTERS = 500
MAX_URL_CHARACTERS = 1000


class BannerKind(StrEnum):
    TEXT = "text"
    """Written by staff."""
    MAINTENANCE = "maintenance"
    """A planned maintenance, with its time."""
    DRAIN = "drain"
    """A machine takes no new jobs."""


def _chosen(kind: NotificationKind) -> NotificationKind:
    if kind is NotificationKind.TEST:
        raise ValueError("a test is not chosen; ask for one once the channel is set up")
    return kind


def _no_hidden_text(text: str) -> str:
    return "\n".join(names.checked(line) for line in text.splitlines())


BannerText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_BANNER_CHARACTERS, strip_whitespace=True),
    AfterValidator(_no_hidden_text),
]
"""Plain text. Addresses that begin with http:// or https:// become links."""


class BannerCreate(Incoming):
    """A text to show on every page until it ends."""

    text: BannerText
    ends_at: Time
    """Until when it is shown. Of a maintenance: when that ends."""
    starts_at: Time | None = None
    """When a planned maintenance begins. The banner is shown before, and names both times."""
    course_id: AnId | None = None
    """The course that sees it. Null: the whole lab, if you are an admin or teach all courses, else the only open course
    that you teach."""


class BannerRead(Outgoing):
    id: str
    """Another one for every text: who dismissed one sees the next."""
    kind: BannerKind
    text: str
    course_id: UUID | None
    """The course that sees it; null if everybody does."""
    starts_at: datetime | None
    """Of a maintenance."""
    ends_at: datetime | None
    """Null for a drained machine, which ends with the drain."""
    readers: int | None
    """How many students it was written to; null if it is for all of the course or the lab, and for those students."""
    can_end: bool
    """Whether you may end it."""


class BannerPage(Outgoing):
    items: list[BannerRead]


def _webhook(url: str) -> str:
    """Raises `ValueError`."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise ValueError("an address begins with http:// or https://")
    if not parts.hostname:
        raise ValueError("the address names no host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("leave out the user name and password")
    if not 0 < (parts.port or 443) < 65536:
        raise ValueError("the port must lie between 1 and 65535")
    return url


class ChannelOrder(Incoming):
    """What to send on a channel. No kinds turn it off."""

    kinds: list[Annotated[NotificationKind, Field(strict=False), AfterValidator(_chosen)]] = Field(max_length=10)
    webhook_url: (
        Annotated[
            str,
            StringConstraints(max_length=MAX_URL_CHARACTERS, strip_whitespace=True, pattern=r"^[!-~]+$"),
            in_words("an address has no blanks and only characters of ASCII"),
            AfterValidator(_webhook),
        ]
        | None
    ) = None
    """Of a webhook, where to send it. Left out, the one that was set stays."""


class NotificationsUpdate(Incoming):
    """What is left out stays."""

    mail: ChannelOrder | None = None
    webhook: ChannelOrder | None = None
    time_zone: Annotated[str, StringConstraints(max_length=100)] | None = None
    """In which messages name times, such as `Europe/Berlin`."""


class ChannelRead(Outgoing):
    kinds: list[NotificationKind]
    """Empty: it is off."""
    address: str | None
    """Your email address, or the webhook's with its path masked. Null: there is none."""
    unavailable: str | None
    """Why it cannot be turned on; null if it can."""
    waiting: int
    """Notifications that have not been delivered yet."""
    given_up: int
    """Notifications that could not be delivered in time."""
    last_sent_at: datetime | None
    last_error: str | None
    """Why the last delivery failed; null if it succeeded."""
    last_error_at: datetime | None


class NotificationsRead(Outgoing):
    """Which notifications you get, and how they arrive."""

    mail: ChannelRead
    webhook: ChannelRead
    time_zone: str
    """In which messages name times: yours, or the lab's."""
