"""Who asks: bearer tokens, looked up by their SHA-256 at every request, so that revoking one works at once."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from api.database import Database
from api.problems import Forbidden, Unauthenticated
from api.tokens import digest_of
from gpulab.states import Role
from models.statements import people

bearer_scheme = HTTPBearer(
    scheme_name="bearer", bearerFormat="glab_…", description="A token of the lab.", auto_error=False
)


@dataclass(frozen=True, slots=True)
class Principal:
    """The person behind a request."""

    id: UUID
    name: str
    role: Role
    token_name: str
    token_expires_at: datetime | None

    @property
    def is_staff(self) -> bool:
        return self.role is not Role.STUDENT

    @property
    def actor(self) -> str:
        return f"user:{self.name}"


async def authenticate(request: Request, database: Database) -> Principal:
    """The owner of the request's token. Raises `Unauthenticated`."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("send a token: Authorization: Bearer glab_…", invalid_token=False)
    row = await database.row_after_reconnecting(people.bearer, digest=digest_of(token.strip()))
    if row is None:
        raise Unauthenticated("the token is unknown, expired or revoked", invalid_token=True)
    return Principal(row.id, row.name, Role(row.role), row.token_name, row.expires_at)


async def _principal(request: Request) -> Principal:
    principal: Principal = request.state.principal
    return principal


async def _staff(request: Request) -> Principal:
    principal: Principal = request.state.principal
    if not principal.is_staff:
        raise Forbidden("only instructors and admins may do this")
    return principal


ThePrincipal = Annotated[Principal, Depends(_principal)]
Staff = Annotated[Principal, Depends(_staff)]
