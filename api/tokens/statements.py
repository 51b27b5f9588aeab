"""Tokens and the sessions of browsers: made, listed, revoked, each with its audit event."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Delete,
    Select,
    Text,
    cast,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased

from api.audit.statements import Origin, audited
from api.users.statements import ADMIN, GOOD_TOKEN, user_target
from models.composed import statement
from models.tables.user import BrowserSession, Token, User

COLUMNS = tuple(
    Token.__table__.c[name] for name in ("id", "user_id", "name", "prefix", "created_at", "expires_at", "revoked_at")
)


@statement
def of(user_id: UUID, *, limit: int, before: UUID | None = None) -> Select[*tuple[Any, ...]]:
    """The user's tokens, newest first."""
    statement = select(*COLUMNS).where(Token.user_id == user_id).order_by(Token.id.desc()).limit(limit)
    return statement if before is None else statement.where(Token.id < before)


@statement
def by_id(token_id: UUID) -> Select[*tuple[Any, ...]]:
    """The token, with its owner's role as `role`."""
    return select(*COLUMNS, User.role).join(User, User.id == Token.user_id).where(Token.id == token_id)


@statement(anew=True)
def make(user_id: UUID, values: Mapping[str, Any], origin: Origin, *, most: int | None = None) -> Select[Any]:
    """A further token; `values` are `name`, `digest`, `prefix`, `expires_at`. No row: they have `most` good ones."""
    good = select(func.count()).select_from(Token).where(Token.user_id == user_id, GOOD_TOKEN).scalar_subquery()
    room = true() if most is None else good < most
    made = (
        insert(Token)
        .from_select(
            ["user_id", *values],
            select(
                literal(user_id, Token.user_id.type),
                *(literal(value, Token.__table__.c[name].type) for name, value in values.items()),
            ).where(room),
        )
        .returning(*COLUMNS)
        .cte("made")
    )
    told = {name: values[name] for name in ("name", "expires_at") if values.get(name) is not None}
    return audited(made, origin, "token.created", token_target(made.c.id), {**told, "user_id": str(user_id)})


@statement(anew=True)
def revoke(token_id: UUID, origin: Origin) -> Select[Any]:
    """End a token that was not ended. No row: it was, or no admin could sign in any more."""
    other_token, other_user = aliased(Token), aliased(User)
    other = (
        select(other_token.id)
        .join(other_user, other_user.id == other_token.user_id)
        .where(
            other_user.role == ADMIN,
            other_user.disabled_at.is_(None),
            other_token.id != token_id,
            other_token.revoked_at.is_(None),
            or_(other_token.expires_at.is_(None), other_token.expires_at > func.now()),
        )
    )
    owner_is_admin = exists().where(User.id == Token.user_id, User.role == ADMIN, User.disabled_at.is_(None))
    revoked = (
        update(Token)
        .where(Token.id == token_id, Token.revoked_at.is_(None), or_(~GOOD_TOKEN, ~owner_is_admin, other.exists()))
        .values(revoked_at=func.now())
        .returning(*COLUMNS)
        .cte("revoked")
    )
    return audited(revoked, origin, "token.revoked", token_target(revoked.c.id), {"token_id": str(token_id)})


@statement(anew=True)
def open_session(values: Mapping[str, Any], origin: Origin, *, how: str) -> Select[Any]:
    """A browser signs in; `values` are the columns of `BrowserSession`."""
    made = insert(BrowserSession).values(**values).returning(BrowserSession.user_id).cte("made")
    return audited(made, origin, "session.opened", user_target(made.c.user_id), {"how": how})


@statement
def sessions_kept(user_id: UUID) -> Select[Any]:
    """How many sessions of the user the table holds, open or over."""
    return select(func.count()).select_from(BrowserSession).where(BrowserSession.user_id == user_id)


@statement
def forget_sessions(user_id: UUID, keep: int) -> Delete:
    """All sessions of the user but the newest `keep`."""
    newest = (
        select(BrowserSession.digest)
        .where(BrowserSession.user_id == user_id)
        .order_by(BrowserSession.created_at.desc())
        .limit(keep)
    )
    return delete(BrowserSession).where(BrowserSession.user_id == user_id, BrowserSession.digest.not_in(newest))


@statement(anew=True)
def end_session(digest: bytes, user_id: UUID, origin: Origin) -> Select[Any]:
    """End a session of this user; no row where there is none or it was ended."""
    mine = (BrowserSession.digest == digest) & (BrowserSession.user_id == user_id)
    ended = (
        update(BrowserSession)
        .where(mine, BrowserSession.revoked_at.is_(None))
        .values(revoked_at=func.now())
        .returning(BrowserSession.user_id)
        .cte("ended")
    )
    return audited(ended, origin, "session.ended", user_target(ended.c.user_id))


def token_target(token_id: ColumnElement[Any]) -> ColumnElement[str]:
    """How the audit names a token."""
    return literal("token:", Text).concat(cast(token_id, Text))


@statement
def now() -> Select[Any]:
    """The time by the database's clock, by which tokens end."""
    return select(func.now())
