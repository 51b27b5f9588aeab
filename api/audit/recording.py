"""The audit of every route that keeps none itself: an event after each request that changed something.

The routes of users, tokens and sessions write theirs in the statement that makes the change; every other route gets
one here. Actions are named `thing.done`, like the events of jobs and nodes. Until they were, the operation's id stood
in the table, which refuses to be changed: those rows are shown, and found, under the name of today.
"""

from collections.abc import Collection
from typing import Any

import psycopg
import structlog
from fastapi import Request

from api.audit import statements
from api.auth.principal import SAFE_METHODS, Principal
from api.context import App

ACTIONS = {
    "cancel_job": "job.cancel_requested",
    "retry_job": "job.retried",
    "share_job": "job.shared",
    "cancel_study": "study.cancel_requested",
    "retry_study": "study.retried",
    "add_study_seeds": "study.seeds_added",
    "share_study": "study.shared",
    "drain_node": "node.drained",
    "undrain_node": "node.undrained",
    "make_node_token": "node.token_made",
    "revoke_node_tokens": "node.token_revoked",
    "upload_program": "program.uploaded",
    "create_assignment": "assignment.created",
    "change_assignment": "assignment.changed",
    "pin_submission": "submission.pinned",
    "rerun_submission": "submission.rerun",
    "check_submission": "submission.checked",
}
"""By the operation's id."""

FORMER_NAMES = {action: operation for operation, action in ACTIONS.items()}

UNTOLD = frozenset({"submit_job", "submit_study", "ask_estimate"})
"""Submitting is told by the job's own first event, with its actor: a second row would halve what the lab takes in. A
question changes nothing, though it comes in a body."""

log = structlog.get_logger()


def action_of(operation: str, methods: Collection[str]) -> str | None:
    """What a request for it is called; None for one that changes nothing or is told elsewhere.

    Raises:
        KeyError: nobody has named it yet.
    """
    return None if operation in UNTOLD or SAFE_METHODS.issuperset(methods) else ACTIONS[operation]


async def record(request: Request, action: str, kind: str, made: str | None) -> None:
    """Write the event of a request that was granted. `kind` is what a path's `name` names, and what `made` is, the
    address of something new.
    """
    app: App = request.app.state.app
    principal: Principal = request.state.principal
    target = _target(request.path_params, kind, made)
    try:
        await app.database.execute(statements.note, origin=principal.origin, action=action, target=target)
    except psycopg.DatabaseError as error:
        # The change is made; an answer that denies it would be worse than a gap that the log fills.
        log.exception("audit.lost", action=action, target=target, actor=principal.actor, reason=str(error))


def _target(parameters: dict[str, Any], kind: str, made: str | None) -> str | None:
    for name, value in parameters.items():
        return f"{kind if name == 'name' else name.removesuffix('_id')}:{str(value)[:200]}"
    return made and f"{kind}:{made.rpartition('/')[2]}"
