"""Who may read, and who may change, a job or a study."""

from typing import Any
from uuid import UUID

from api.auth.principal import Principal
from api.context import App
from api.http.problems import Forbidden, InvalidRequest
from api.sharing import statements
from api.sql.database import Row
from gpulab.schemas import ShareOrder
from gpulab.states import Audience


def may_read(principal: Principal, row: Row) -> bool:
    """Staff of its course, the owner, and users with access to it.

    `row` has `owner_id`, `owner_team`, `course_id` and `shared_with`.
    """
    if principal.teaches(row.course_id) or row.owner_id == principal.id:
        return True
    if not principal.is_in(row.course_id):
        return False
    if row.shared_with == Audience.CLASS:
        return True
    return row.shared_with == Audience.TEAM and principal.team is not None and row.owner_team == principal.team


def check_may_change(principal: Principal, row: Row) -> None:
    """Staff of its course and the owner. Raises `Forbidden` for who may only read it."""
    if not (principal.teaches(row.course_id) or row.owner_id == principal.id):
        raise Forbidden("it is shared with you for reading; only its owner and staff can change it")


def check_audience(principal: Principal, row: Row, order: ShareOrder) -> None:
    """Raises `Forbidden`, and `InvalidRequest` where the owner has no team to share with."""
    check_may_change(principal, row)
    if order.audience is Audience.TEAM and row.owner_team is None:
        raise InvalidRequest.of("audience", "its owner has no team", value="team")


def shared_with(principal: Principal) -> dict[str, Any]:
    """What narrows a page to what was shared with the principal."""
    return {
        "shared_with_class": True,
        "shared_with_team": principal.team,
        "shared_in": None if principal.sees_all else principal.standing.course_ids,
    }


def seen_by(principal: Principal) -> dict[str, Any]:
    """What narrows a page to what the principal may see without its being shared: the values of `visible_to`."""
    if principal.sees_all:
        return {"owner_id": None, "taught": None}
    return {"owner_id": principal.id, "taught": principal.standing.taught_ids or None}


async def is_shared_study(app: App, principal: Principal, study_id: UUID) -> bool:
    found = await app.database.row(statements.study_shared, study_id=study_id, **_audience(principal))
    return found is not None


async def in_shared_study(app: App, principal: Principal, job_id: UUID) -> bool:
    """Whether a study that the principal may read has this job among its runs, or as its report."""
    found = await app.database.row(statements.study_of_job_shared, job_id=job_id, **_audience(principal))
    return found is not None


def _audience(principal: Principal) -> dict[str, Any]:
    return {"team": principal.team, "courses": principal.standing.course_ids}
