"""Sessions of browsers: a cookie that no script reads, in the place of a token."""

from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import Request, Response

from api.audit import statements as audit
from api.auth.principal import Principal, of_token, origin_of
from api.auth.token_secrets import csrf_of, digest_of, new_session
from api.context import App
from api.http.base_path import cookies_of
from api.http.problems import Unauthenticated
from api.tokens import statements as tokens
from api.users import service as users
from gpulab.schemas import SessionRead, SignIn

MAX_SESSIONS = 50
"""Of one user; a further one ends the oldest."""


async def sign_in(app: App, request: Request, order: SignIn) -> tuple[SessionRead, str, datetime]:
    """Who it is, the cookie's value, and until when. Raises `Unauthenticated`, `TooManySignIns`, `TooManyRequests`."""
    try:
        principal = await of_token(request, app, order.token)
    except Unauthenticated:
        await app.database.execute(audit.note, origin=origin_of(request), action="session.refused", target=None)
        raise
    if not principal.is_admin:
        app.request_rate.take(principal.id.hex)
    return await open_session(app, principal, how="token")


async def open_session(app: App, principal: Principal, *, how: str) -> tuple[SessionRead, str, datetime]:
    """A session of an authenticated user."""
    secret = new_session()
    ends = datetime.now(UTC) + timedelta(seconds=app.settings.session_seconds)
    if principal.token_expires_at is not None:
        ends = min(ends, principal.token_expires_at)
    values: dict[str, Any] = {
        "digest": digest_of(secret),
        "user_id": principal.id,
        "token_id": principal.token_id,
        "expires_at": ends,
    }
    await app.database.row(tokens.open_session, values=values, origin=principal.origin, how=how)
    if await app.database.scalar(tokens.sessions_kept, user_id=principal.id) > MAX_SESSIONS:
        await app.database.execute(tokens.forget_sessions, user_id=principal.id, keep=MAX_SESSIONS)
    facts = await users.facts_of(app, principal) | {"token_expires_at": ends}
    return SessionRead(**facts, csrf=csrf_of(secret)), secret, ends


async def sign_out(app: App, request: Request, principal: Principal) -> None:
    """End the session whose cookie came with the request, if it is theirs; a bearer token stays what it is."""
    cookie = request.cookies.get(cookies_of(request).session)
    if cookie:
        await app.database.row(
            tokens.end_session, digest=digest_of(cookie), user_id=principal.id, origin=principal.origin
        )


def set_cookies(request: Request, response: Response, secret: str, ends: datetime) -> None:
    """Lax: a link in a mail to a report opens it, and no other site's form or script is heard."""
    cookies = cookies_of(request)
    # The clock of a laptop may be hours off. A browser counts `max_age` by its own, and prefers it to `expires`.
    left_seconds = int((ends - datetime.now(UTC)).total_seconds())
    common: dict[str, Any] = {"expires": ends, "max_age": left_seconds, "path": cookies.path, "secure": cookies.secure}
    common["samesite"] = "lax"
    response.set_cookie(cookies.session, secret, httponly=True, **common)
    response.set_cookie(cookies.csrf, csrf_of(secret), httponly=False, **common)
    response.headers["Cache-Control"] = "no-store"


def clear_cookies(request: Request, response: Response) -> None:
    cookies = cookies_of(request)
    common: dict[str, Any] = {"path": cookies.path, "secure": cookies.secure, "samesite": "lax"}
    response.delete_cookie(cookies.session, httponly=True, **common)
    response.delete_cookie(cookies.csrf, **common)
