"""Who is asking."""

from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import Insert, ReturningInsert

from models.person import Token, User


def bearer(digest: bytes) -> Select[*tuple[Any, ...]]:
    """User id, name, role, token name and expiry of a token that is good now; no row for any other."""
    return (
        select(User.id, User.name, User.role, Token.name.label("token_name"), Token.expires_at)
        .join(User, User.id == Token.user_id)
        .where(
            Token.digest == digest,
            Token.revoked_at.is_(None),
            or_(Token.expires_at.is_(None), Token.expires_at > func.now()),
        )
    )


def ensure_user(name: str, role: str) -> ReturningInsert[Any]:
    """The user of that name, made if there is none."""
    return (
        insert(User)
        .values(name=name, role=role)
        .on_conflict_do_update(index_elements=[User.name], set_={"name": name})
        .returning(User.id)
    )


def add_token(user_id: UUID, *, name: str, digest: bytes) -> Insert:
    """A token that does not expire."""
    return insert(Token).values(user_id=user_id, name=name, digest=digest)
