"""What a user may submit: which class, how many jobs, whether there is room for files. Admins have no limits here."""

from uuid import UUID

from api.auth.principal import Principal
from api.context import App
from api.http.problems import ArtifactQuotaReached, InvalidRequest, QueueLimitReached
from gpulab.states import Priority, Role
from models.statements import allowances


def check_priority(principal: Principal, priority: Priority, course_id: UUID | None) -> None:
    """Raises `InvalidRequest` for the `high` of a student of the run's course.

    It goes before everybody and takes room from what runs.
    """
    if priority is Priority.HIGH and not _may_be_high(principal, course_id):
        message = "is for instructors of the run's course and admins; students may ask for `normal` or `low`"
        raise InvalidRequest.of("priority", f"`{priority}` {message}", value=priority.value)


def priority_of_copy(principal: Principal, priority: str, course_id: UUID | None) -> str:
    """The class of a new job that repeats another's order."""
    is_allowed = priority != Priority.HIGH or _may_be_high(principal, course_id)
    return priority if is_allowed else Priority.NORMAL.value


def _may_be_high(principal: Principal, course_id: UUID | None) -> bool:
    return principal.teaches(course_id) or (course_id is None and principal.role is not Role.STUDENT)


async def check_quota(app: App, principal: Principal, *, more_bytes: int = 0) -> None:
    """Whether there is room for `more_bytes`, or for any at all. Raises `ArtifactQuotaReached`."""
    quota = app.settings.max_artifact_bytes
    if quota is None or principal.is_admin:
        return
    held = await app.database.scalar(allowances.stored_bytes, user_id=principal.id)
    if held + more_bytes > quota or held >= quota:
        more = f", and the new files {more_bytes} bytes" if more_bytes else ""
        raise ArtifactQuotaReached(f"the files of your jobs and programs take {held} bytes{more}; you may keep {quota}")


async def queue_is_full(app: App, owner_id: UUID, *, more: int = 1) -> QueueLimitReached:
    """Why the queue of the owner took `more` jobs no longer."""
    row = await app.database.row(allowances.queue, user_id=owner_id)
    assert row is not None  # noqa: S101 - users are not deleted
    limit = app.settings.max_queued if row.max_queued is None else row.max_queued
    return QueueLimitReached(f"{row.queued} jobs wait and {more} more would join them; the limit is {limit}")
