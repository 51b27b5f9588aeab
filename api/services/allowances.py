"""What a person may still submit: the limit of queued jobs, and the room for files. Admins have no limits here."""

from api.auth import Principal
from api.context import Lab
from api.problems import ArtifactQuotaReached, QueueLimitReached
from models.statements import allowances


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
