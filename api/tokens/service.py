"""Tokens: create, list and revoke, by their owners and by staff for users they manage."""

from collections.abc import Awaitable, Sequence
from uuid import UUID

from api.auth.principal import Principal
from api.auth.token_secrets import digest_of, new_token, prefix_of
from api.context import App
from api.deadlines import check_in_future
from api.http.cursors import paged
from api.http.problems import LastAdmin, TokenNotFound, TooManyTokens, UserNotFound
from api.sql.database import Row
from api.tokens import statements
from api.users import service as users
from gpulab.schemas import TokenCreate, TokenCreated, TokenPage, TokenRead


async def page(app: App, principal: Principal, user_id: UUID | None, cursor: str | None, limit: int) -> TokenPage:
    """One user's tokens, newest first. Raises `UserNotFound`, `InvalidCursor`."""
    whose = principal.id if user_id is None else user_id
    await users.visible(app, principal, whose)
    filters = {"user_id": str(whose)}

    def fetch(before: UUID | None, most: int) -> Awaitable[Sequence[Row]]:
        return app.database.rows(statements.of, user_id=whose, before=before, limit=most)

    rows, next_cursor = await paged("tokens", filters, cursor, limit, fetch)
    return TokenPage(items=[_read(row) for row in rows], next_cursor=next_cursor)


async def create(app: App, principal: Principal, order: TokenCreate) -> TokenCreated:
    """Create a token for the caller, or a user they manage. Raises `UserNotFound`, `Forbidden`, `TooManyTokens`."""
    whose = principal.id if order.user_id is None else order.user_id
    user = await (users.visible if whose == principal.id else users.managed)(app, principal, whose)
    if order.expires_at is not None:
        await check_in_future(app, "expires_at", order.expires_at)
    token = new_token()
    values = {
        "name": order.name,
        "digest": digest_of(token),
        "prefix": prefix_of(token),
        "expires_at": order.expires_at,
    }
    made = await app.database.rows_in_turn(
        [whose],
        statements.make,
        user_id=whose,
        values=values,
        origin=principal.origin,
        most=app.settings.max_tokens,
    )
    if not made:
        raise TooManyTokens(
            f"{user.name} has {app.settings.max_tokens} valid tokens, which is the limit; revoke one first"
        )
    return TokenCreated(**_read(made[0]).model_dump(), token=token)


async def revoke(app: App, principal: Principal, token_id: UUID) -> None:
    """End it; again changes nothing. Raises `TokenNotFound`, `Forbidden`, `LastAdmin`."""
    row = await app.database.row(statements.by_id, token_id=token_id)
    if row is None or not (principal.is_staff or row.user_id == principal.id):
        raise TokenNotFound(f"no token of yours has the id {token_id}")
    if row.user_id != principal.id:
        await _check_manages(app, principal, row.user_id, token_id)
    if row.revoked_at is not None:
        return
    done = await app.database.row(statements.revoke, token_id=token_id, origin=principal.origin)
    if done is not None:
        return
    again = await app.database.row(statements.by_id, token_id=token_id)
    if again is not None and again.revoked_at is None:
        raise LastAdmin("no admin could sign in without this token; create another token first")


async def _check_manages(app: App, principal: Principal, user_id: UUID, token_id: UUID) -> None:
    try:
        await users.managed(app, principal, user_id)
    except UserNotFound:
        raise TokenNotFound(f"no token of yours has the id {token_id}") from None


def _read(row: Row) -> TokenRead:
    return TokenRead(**{column.name: getattr(row, column.name) for column in statements.COLUMNS})
