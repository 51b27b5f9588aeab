"""The audit of every route that does not write its own: an event after each request that changed something.

The routes of users, tokens and sessions write their event in the statement that makes the change. Every other route
gets one here. Actions are named `thing.done`, like the events of jobs and nodes.
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
    "change_job": "job.changed",
    "share_job": "job.shared",
    "cancel_study": "study.cancel_requested",
    "retry_study": "study.retried",
    "add_study_seeds": "study.seeds_added",
    "share_study": "study.shared",
    "drain_node": "node.drained",
    "undrain_node": "node.undrained",
    "remove_node": "node.removed",
    "make_node_token": "node.token_made",
    "revoke_node_tokens": "node.token_revoked",
    "upload_program": "program.uploaded",
    "create_assignment": "assignment.created",
    "change_assignment": "assignment.changed",
    "extend_assignment": "assignment.extended",
    "end_extension": "assignment.extension_ended",
    "extend_students": "assignment.students_extended",
    "message_students": "assignment.students_messaged",
    "cancel_waiting_runs": "assignment.waiting_runs_cancelled",
    "check_students": "assignment.students_checked",
    "create_course": "course.created",
    "change_course": "course.changed",
    "add_course_member": "course.member_added",
    "remove_course_member": "course.member_removed",
    "create_lab_hours": "lab_hours.created",
    "change_lab_hours": "lab_hours.changed",
    "cancel_lab_hours": "lab_hours.cancelled",
    "pin_submission": "submission.pinned",
    "rerun_submission": "submission.rerun",
    "check_submission": "submission.checked",
    "rerun_submissions": "submission.all_rerun",
    "create_banner": "banner.created",
    "end_banner": "banner.ended",
    "change_notifications": "notifications.changed",
    "test_notifications": "notifications.tested",
}
"""By the operation's id."""

UNRECORDED = frozenset(
    {"submit_job", "submit_study", "ask_estimate", "give_grade", "remove_grade", "import_grades"}
    | {"delete_job", "delete_jobs", "delete_study"}
)
"""A submission is in the job's own first event, with its actor; a second row would halve the rate of submissions. A
question changes nothing, though it is a POST. Grades write one event for each student in their own statement,
and what is deleted one for each run or study."""

log = structlog.get_logger()


def action_of(operation: str, methods: Collection[str]) -> str | None:
    """The action of a request for it; None if it changes nothing or is recorded elsewhere.

    Raises:
        KeyError: `ACTIONS` does not name the operation.
    """
    return None if operation in UNRECORDED or SAFE_METHODS.issuperset(methods) else ACTIONS[operation]


async def record(request: Request, action: str, kind: str, made: str | None) -> None:
    """Write the event of a request that was granted.

    `kind` is the kind of thing that the path's `name` names, or that was created at the address `made`.
    """
    app: App = request.app.state.app
    principal: Principal = request.state.principal
    target, details = _target(request.path_params, kind, made), _details(request.path_params)
    try:
        await app.database.execute(
            statements.note, origin=principal.origin, action=action, target=target, details=details
        )
    except psycopg.DatabaseError as error:
        # The change is made. An answer that denies it would be worse than a gap, and the log fills the gap.
        log.exception("audit.lost", action=action, target=target, actor=principal.actor, reason=str(error))


def _details(parameters: dict[str, Any]) -> dict[str, str]:
    """What the path names beside the target."""
    return {name: str(value)[:200] for name, value in list(parameters.items())[1:]}


def _target(parameters: dict[str, Any], kind: str, made: str | None) -> str | None:
    for name, value in parameters.items():
        return f"{kind if name == 'name' else name.removesuffix('_id')}:{str(value)[:200]}"
    return made and f"{kind}:{made.rpartition('/')[2]}"
