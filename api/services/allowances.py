"""What a person may submit: which class, how many jobs, whether there is room for files. Admins have no limits here."""

from api.auth import Principal
from api.context import Lab
from api.problems import ArtifactQuotaReached, InvalidRequest, QueueLimitReached
from gpulab.schemas import InvalidField
from gpulab.states import Priority
from models.statements import allowances


def check_priority(principal: Principal, priority: Priority) -> None:
    """Raises `InvalidRequest` for a student's `high`: it goes before everybody and takes room from what runs."""
    if priority is Priority.HIGH and not principal.is_staff:
        message = "is for instructors and admins; students may ask for `normal` or `low`"
        field = InvalidField(path="priority", message=f"`{priority}` {message}", value=priority.value)
        raise InvalidRequest(f"{field.path}: {field.message}", errors=[field])


def priority_of_copy(principal: Principal, priority: str) -> str:
    """The class of a new job that repeats another's order."""
    return priority if principal.is_staff or priority != Priority.HIGH else Priority.NORMAL.value


async def check_may_submit(lab: Lab, principal: Principal, *, more: int = 1) -> None:
    """Raises `QueueLimitReached`, `ArtifactQuotaReached`."""
    most, quota = _limits(lab, principal)
    if most is not None:
        queued = await lab.database.scalar(allowances.queued, user_id=principal.id)
        if queued + more > most:
            raise QueueLimitReached(
                f"{queued} of your jobs wait and {more} would join them; you may have {most} waiting"
            )
    if quota is not None:
        held = await lab.database.scalar(allowances.artifact_bytes, user_id=principal.id)
        if held >= quota:
            raise ArtifactQuotaReached(f"the files of your jobs take {held} bytes; you may keep {quota}")


def is_limited(lab: Lab, principal: Principal) -> bool:
    """Whether there is anything that submitting could be refused for."""
    return _limits(lab, principal) != (None, None)


def _limits(lab: Lab, principal: Principal) -> tuple[int | None, int | None]:
    """Jobs that may wait and bytes that may be kept; a person's own limit goes before the lab's."""
    if principal.is_admin:
        return None, None
    most = lab.settings.max_queued if principal.max_queued is None else principal.max_queued
    return most, lab.settings.max_artifact_bytes
