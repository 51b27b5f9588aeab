"""Cancels many jobs at once."""

from collections.abc import Sequence
from uuid import UUID

from api.auth.principal import Principal
from api.context import App
from api.sql.deadlocks import despite_deadlocks
from models.statements import transitions


async def cancel_all(app: App, principal: Principal, job_ids: Sequence[UUID]) -> None:
    """Ask for the end of each that is not final; asking again changes nothing."""
    if not job_ids:
        return
    # Many rows are locked in no particular order, also by the workers that report of them.
    await despite_deadlocks(lambda: app.database.rows(transitions.cancel_all, job_ids=job_ids, actor=principal.actor))
