"""Marking users who are to be anonymised or deleted. The scheduler carries it out."""

from uuid import UUID

from api.auth.principal import Principal
from api.context import App
from api.erasure import statements
from api.http.problems import Forbidden, LastAdmin, UserErased
from api.sql.database import Row
from api.users import service as users
from api.users import statements as user_statements
from gpulab.schemas import ErasureOrder, ErasureRead
from gpulab.states import Erasure

ACTIONS = {Erasure.ANONYMISE: "user.anonymised", Erasure.DELETE: "user.deleted"}


async def erase(app: App, principal: Principal, user_id: UUID, order: ErasureOrder) -> ErasureRead:
    """Raises `UserNotFound`, `Forbidden`, `LastAdmin`, `UserErased`."""
    row = await users.visible(app, principal, user_id)
    if user_id == principal.id:
        raise Forbidden("you cannot anonymise or delete yourself; ask another admin")
    if order.mode is Erasure.ANONYMISE and (row.anonymised_at is not None or row.erasure == Erasure.DELETE):
        raise UserErased(f"{row.name} is already anonymised, or is being deleted")
    counts = await app.database.row(statements.counts, user_id=user_id)
    assert counts is not None  # noqa: S101 - an aggregate has a row
    if not order.dry_run:
        await _mark(app, principal, row, order.mode)
    return ErasureRead(user_id=user_id, mode=order.mode, dry_run=order.dry_run, **counts._asdict())


async def _mark(app: App, principal: Principal, row: Row, mode: Erasure) -> None:
    """From here on they cannot sign in."""
    shut_out = {"disabled_at": user_statements.NOW} if row.disabled_at is None else {}
    changed = await app.database.row(
        user_statements.change,
        user_id=row.id,
        values={"erasure": mode.value, **shut_out},
        origin=principal.origin,
        action=ACTIONS[mode],
    )
    if changed is None:
        await users.visible(app, principal, row.id)  # it may have been deleted meanwhile
        raise LastAdmin(f"{row.name} is the last admin who can sign in; add another admin first")
