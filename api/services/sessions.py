"""Sessions of browsers: a cookie that no script reads, in the place of a token."""

from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import Request, Response

from api.auth import Principal, of_token, origin_of
from api.context import Lab
from api.place import cookies_of
from api.problems import Unauthenticated
from api.services import people
from api.tokens import csrf_of, digest_of, new_session
from gpulab.schemas import SessionRead, SignIn
from models.statements import audit, tokens

MAX_SESSIONS = 50
"""Of one user; a further one ends the oldest."""


async def sign_in(lab: Lab, request: Request, order: SignIn) -> tuple[SessionRead, str, datetime]:
    """Who it is, the cookie's value, and until when. Raises `Unauthenticated`, `TooManySignIns`, `TooManyRequests`."""
    try:
        principal = await of_token(request, lab, order.token)
    except Unauthenticated:
        await lab.database.execute(audit.note(origin_of(request), "session.refused", None))
        raise
    if not principal.is_admin:
        lab.request_rate.take(principal.id.hex)
    return await open_session(lab, principal, how="token")


async def open_session(lab: Lab, principal: Principal, *, how: str) -> tuple[SessionRead, str, datetime]:
    """A session of somebody who proved who they are."""
    secret = new_session()
    ends = datetime.now(UTC) + timedelta(seconds=lab.settings.session_seconds)
    if principal.token_expires_at is not None:
        ends = min(ends, principal.token_expires_at)
    values: dict[str, Any] = {
        "digest": digest_of(secret),
        "user_id": principal.id,
        "token_id": principal.token_id,
        "expires_at": ends,
    }
    await lab.database.row(tokens.open_session(values, principal.origin, how=how))
    if await lab.database.scalar(tokens.sessions_kept, user_id=principal.id) > MAX_SESSIONS:
        await lab.database.execute(tokens.forget_sessions(principal.id, MAX_SESSIONS))
    facts = await people.facts_of(lab, principal) | {"token_expires_at": ends}
    return SessionRead(**facts, csrf=csrf_of(secret)), secret, ends


async def sign_out(lab: Lab, request: Request, principal: Principal) -> None:
    """End the session whose cookie came with the request, if it is theirs; a bearer token stays what it is."""
    cookie = request.cookies.get(cookies_of(request).session)
    if cookie:
        await lab.database.row(tokens.end_session(digest_of(cookie), principal.id, principal.origin))


def set_cookies(request: Request, response: Response, secret: str, ends: datetime) -> None:
    """Lax: a link in a mail to a report opens it, and no other site's form or script is heard."""
    cookies = cookies_of(request)
    common: dict[str, Any] = {"expires": ends, "path": cookies.path, "secure": cookies.secure, "samesite": "lax"}
    response.set_cookie(cookies.session, secret, httponly=True, **common)
    response.set_cookie(cookies.csrf, csrf_of(secret), httponly=False, **common)
    response.headers["Cache-Control"] = "no-store"


def clear_cookies(request: Request, response: Response) -> None:
    cookies = cookies_of(request)
    common: dict[str, Any] = {"path": cookies.path, "secure": cookies.secure, "samesite": "lax"}
    response.delete_cookie(cookies.session, httponly=True, **common)
    response.delete_cookie(cookies.csrf, **common)
