"""The audit of every route that keeps none itself: an event after each request that changed something.

The routes of people, tokens and sessions write theirs in the statement that makes the change; every other route gets
one here, a new one too.
"""

from typing import Any

import psycopg
import structlog
from fastapi import Request

from api.auth import SAFE_METHODS, Principal
from api.context import Lab
from models.statements import audit

IN_JOB_EVENTS = frozenset({"submit_job", "submit_study"})
"""Submitting is told by the job's own first event, with its actor: a second row would halve what the lab takes in."""

QUESTIONS = frozenset({"ask_estimate"})
"""Calls that change nothing, though their question comes in a body."""

log = structlog.get_logger()


async def record(request: Request, operation: str, kind: str, status: int) -> None:
    """Write the event of a request that was answered with `status`. `kind` is what a path's `name` names."""
    if request.method in SAFE_METHODS or status >= 400 or operation in IN_JOB_EVENTS | QUESTIONS:
        return
    lab: Lab = request.app.state.lab
    principal: Principal = request.state.principal
    target = _target(request.path_params, kind)
    try:
        await lab.database.execute(audit.note(principal.origin, operation, target))
    except psycopg.DatabaseError as error:
        # The change is made; an answer that denies it would be worse than a gap that the log fills.
        log.exception("audit.lost", action=operation, target=target, actor=principal.actor, reason=str(error))


def _target(parameters: dict[str, Any], kind: str) -> str | None:
    for name, value in parameters.items():
        return f"{kind if name == 'name' else name.removesuffix('_id')}:{str(value)[:200]}"
    return None
