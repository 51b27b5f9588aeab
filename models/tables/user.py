"""Users, their tokens, the sessions of their browsers, and what each used of the lab."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, func, text
from sqlalchemy.orm import Mapped, mapped_column

from models.tables.base import Base


class User(Base):
    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint("weight > 0", name="weight_positive"),
        CheckConstraint("least(max_running, max_queued) >= 0", name="counts_not_negative"),
        CheckConstraint("least(max_gpu_hours, max_gib_hours) >= 0", name="hours_not_negative"),
        Index("ix_users_section_team", "section", "team"),
        Index("ix_users_erasure", "id", postgresql_where=text("erasure IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    name: Mapped[str]
    """The name; several users may have the same name, and the address distinguishes them."""
    email: Mapped[str | None] = mapped_column(unique=True)
    """In lower case: what the roster and a university's sign-in know a user by."""
    role: Mapped[str]
    section: Mapped[str | None]
    team: Mapped[str | None]
    weight: Mapped[float] = mapped_column(server_default=text("1"))
    """Share of the lab beside others; 1 is everybody's."""
    max_running: Mapped[int | None]
    max_queued: Mapped[int | None]
    max_gpu_hours: Mapped[float | None]
    max_gib_hours: Mapped[float | None]
    """The user's own limits; null means the lab's limit."""
    time_zone: Mapped[str | None]
    """In which notifications name times, such as `Europe/Berlin`; null is the lab's."""
    openid_subject: Mapped[str | None] = mapped_column(unique=True)
    """Who it is to the university's provider: issuer and subject."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    disabled_at: Mapped[datetime | None]
    """Since when neither a token nor a session of theirs is good."""
    erasure: Mapped[str | None]
    """A `gpulab.states.Erasure` under way: the scheduler carries it out."""
    anonymised_at: Mapped[datetime | None]
    """When their name became a pseudonym."""


class Token(Base):
    """A bearer token; only its SHA-256 is kept. A token has 256 random bits, so a slow hash would add nothing."""

    __tablename__ = "tokens"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)
    name: Mapped[str]
    digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    prefix: Mapped[str | None]
    """Its first characters, by which its owner knows it again; null for tokens older than this column."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class BrowserSession(Base):
    """What a cookie stands for. Good while it is not over and the token that opened it is good."""

    __tablename__ = "browser_sessions"

    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    """SHA-256 of the cookie's value."""
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)
    token_id: Mapped[UUID | None] = mapped_column(ForeignKey("tokens.id"))
    """Null for a sign-in through the university's provider."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class Usage(Base):
    """A copy, made anew from the leases; nothing is decided by it."""

    __tablename__ = "shares"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    used_seconds: Mapped[float]
    """Decayed use: seconds of the whole lab."""
    weight: Mapped[float]
    """With the boost of a deadline, if there is one."""
    weighed_at: Mapped[datetime] = mapped_column(server_default=func.now())
