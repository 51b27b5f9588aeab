"""Who asks: a bearer token or the cookie of a session, known by its SHA-256 alone.

Revoking a token or disabling a user works at once (`api.auth.credentials`). A session's cookie travels by itself
wherever the browser goes. A request that changes something must therefore carry a header that no other site can set.
"""

import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request
from starlette.types import Scope

from api.audit.statements import Origin
from api.auth.credentials import Credential
from api.auth.standing import Standing, standing_of
from api.auth.token_secrets import csrf_of, digest_of
from api.context import App
from api.http.base_path import cookies_of
from api.http.problems import CsrfFailed, Forbidden, TooManyRequests, TooManySignIns, Unauthenticated
from api.limits.sign_ins import network_of
from api.sql.database import Row
from gpulab.states import Role

CSRF_HEADER = "X-CSRF-Token"
CREDENTIAL_HEADERS = frozenset({b"authorization", b"cookie"})
KNOWN_SECONDS = 0.25
"""An answer that took longer is checked again before it is sent."""
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Principal:
    """The user behind a request, and where it came from."""

    id: UUID
    name: str
    standing: Standing
    max_queued: int | None
    """Jobs of theirs that may wait; null leaves the lab's limit."""
    token_id: UUID | None
    token_name: str | None
    token_expires_at: datetime | None
    address: str
    request_id: str
    credential: Credential | None = None
    """Null where the university's provider vouched."""
    known_at: float = field(default_factory=time.monotonic, compare=False)
    """When it was looked at, by `time.monotonic`."""

    @property
    def role(self) -> Role:
        """In the lab; each course has one of its own."""
        return self.standing.role

    @property
    def team(self) -> str | None:
        return self.standing.team

    @property
    def is_staff(self) -> bool:
        """Whether they teach at all. What they may see of a course, `teaches` says."""
        return self.standing.is_staff

    @property
    def is_admin(self) -> bool:
        return self.role is Role.ADMIN

    @property
    def sees_all(self) -> bool:
        """Admins, and instructors of each course of the lab."""
        return self.standing.sees_all

    def teaches(self, course_id: UUID | None) -> bool:
        """Whether they may see and change what is of the course; admins may in each."""
        return self.sees_all or course_id in self.standing.taught_ids

    def is_in(self, course_id: UUID | None) -> bool:
        return course_id in self.standing.course_ids

    @property
    def actor(self) -> str:
        return f"user:{self.name}"

    @property
    def origin(self) -> Origin:
        """What the audit keeps of it."""
        return Origin(self.actor, self.id, self.address, self.request_id)


async def authenticate(request: Request, app: App) -> Principal:
    """Who asks. Raises `Unauthenticated`, `TooManySignIns`, `TooManyRequests`, `CsrfFailed`."""
    given = request.headers.get("authorization")
    if given is None and (cookie := request.cookies.get(cookies_of(request).session)):
        return await _of_session(request, app, cookie)
    scheme, _, token = (given or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("the request has no token; send Authorization: Bearer glab_…", invalid_token=False)
    return await of_token(request, app, token.strip())


async def check_again(request: Request, app: App, principal: Principal) -> None:
    """Before an answer that took a while is sent: whether it may still be read.

    Raises `Unauthenticated` where the token or session ended meanwhile, and `Forbidden` where role, team or courses
    changed.
    """
    is_fresh = time.monotonic() - principal.known_at < KNOWN_SECONDS
    if is_fresh or principal.credential is None or request.method not in SAFE_METHODS:
        return
    row = await app.credentials.row(principal.credential)
    if row is None or not row.good:
        raise Unauthenticated("the token or session ended while the lab held the request", invalid_token=True)
    if standing_of(row) != principal.standing:
        raise Forbidden("your role, team or courses changed while the lab held the request; send it again")


async def of_token(request: Request, app: App, token: str) -> Principal:
    """Whose token it is. Raises `Unauthenticated`, `TooManySignIns`."""
    address = address_of(request.scope)
    credential = Credential(digest_of(token), of_session=False)
    await _unless_good(app, credential, partial(app.sign_ins.check, address, token))
    row = await app.credentials.row(credential)
    if row is None or not row.good:
        app.sign_ins.failed(address, token, known=row is not None)
        raise Unauthenticated(
            "the token is unknown, expired or revoked; ask the lab's staff for a new one", invalid_token=True
        )
    return _principal_of(request, row, credential)


async def _of_session(request: Request, app: App, cookie: str) -> Principal:
    credential = Credential(digest_of(cookie), of_session=True)
    if not app.credentials.remembers(credential):
        network = network_of(address_of(request.scope))
        await _unless_good(app, credential, partial(app.stranger_rate.check, network))
    row = await app.credentials.row(credential)
    if row is None:
        raise Unauthenticated("the session is over; sign in again", invalid_token=True)
    if request.method not in SAFE_METHODS:
        sent = request.headers.get(CSRF_HEADER, "")
        if not hmac.compare_digest(sent.encode(errors="surrogateescape"), csrf_of(cookie).encode()):
            name = cookies_of(request).csrf
            raise CsrfFailed(f"send the value of the cookie {name} as the header {CSRF_HEADER}")
    return _principal_of(request, row, credential)


async def _unless_good(app: App, credential: Credential, check: Callable[[], None]) -> None:
    """A limit shared by all requests from one address. It must not block users with a valid token."""
    try:
        check()
    except (TooManySignIns, TooManyRequests):
        if not await app.credentials.was_good(credential):
            raise


def _principal_of(request: Request, row: Row, credential: Credential) -> Principal:
    return Principal(
        id=row.id,
        name=row.name,
        standing=standing_of(row),
        max_queued=row.max_queued,
        token_id=row.token_id,
        token_name=row.token_name,
        token_expires_at=row.expires_at,
        address=address_of(request.scope),
        request_id=request.scope["state"]["request_id"],
        credential=credential,
    )


def address_of(scope: Scope) -> str:
    """Where the request came from; behind a proxy that the server trusts, what the proxy says."""
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


def shows_credential(scope: Scope) -> bool:
    """Whether the request has credentials; they may still be invalid."""
    return any(name in CREDENTIAL_HEADERS for name, _ in scope["headers"])


def origin_of(request: Request) -> Origin:
    """What the audit records of a request without a user."""
    return Origin("anonymous", None, address_of(request.scope), request.scope["state"]["request_id"])


async def _principal(request: Request) -> Principal:
    principal: Principal = request.state.principal
    return principal


async def _staff(request: Request) -> Principal:
    principal: Principal = request.state.principal
    if not principal.is_staff:
        raise Forbidden("only instructors and admins may do this")
    return principal


async def _admin(request: Request) -> Principal:
    principal: Principal = request.state.principal
    if not principal.is_admin:
        raise Forbidden("only admins may do this")
    return principal


ThePrincipal = Annotated[Principal, Depends(_principal)]
Staff = Annotated[Principal, Depends(_staff)]
Admin = Annotated[Principal, Depends(_admin)]
