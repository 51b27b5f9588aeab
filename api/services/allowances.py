"""What a person may still submit: the limit of queued jobs, and the room for files. Admins have no limits here."""

from api.auth import Principal
from api.context import Lab
from api.problems import ArtifactQuotaReached, QueueLimitReached
from models.statements import allowances


async def check_may_submit(lab: Lab, principal: Principal, *, more: int = 1) -> None:
    """Raises `QueueLimitReached`, `ArtifactQuotaReached`."""
    if principal.is_admin:
        return
    row = await lab.database.row(allowances.of_person, user_id=principal.id)
    most = lab.settings.max_queued if row is None or row.max_queued is None else row.max_queued
    if most is not None:
        queued = await lab.database.scalar(allowances.queued, user_id=principal.id)
        if queued + more > most:
            raise QueueLimitReached(
                f"{queued} of your jobs wait and {more} would join them; you may have {most} waiting"
            )
    quota = lab.settings.max_artifact_bytes
    if quota is not None:
        held = await lab.database.scalar(allowances.artifact_bytes, user_id=principal.id)
        if held >= quota:
            raise ArtifactQuotaReached(f"the files of your jobs take {held} bytes; you may keep {quota}")
