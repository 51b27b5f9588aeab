"""Lists of jobs: who may see which, what they are narrowed to, and their pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from api.assignments import statements as assignments
from api.auth.principal import Principal
from api.context import App
from api.experiments import service as experiments
from api.http import cursors
from api.jobs.listing import statements
from api.jobs.service import summary_of
from api.sharing import service as sharing
from api.sql.database import Row
from api.users import statements as users
from gpulab.schemas import JobPage
from gpulab.states import JobState

SEARCHED = 10_000
"""Jobs that one page of a search for text looks through."""


@dataclass(frozen=True, slots=True)
class JobFilters:
    states: tuple[JobState, ...] = ()
    experiment: str | None = None
    owner: str | None = None
    tag: str | None = None
    text: str | None = None
    study: UUID | None = None
    shared: bool = False
    assignment: UUID | None = None
    work_on: UUID | None = None
    earlier: bool = False
    course: UUID | None = None

    def as_mapping(self) -> dict[str, Any]:
        return {
            "states": sorted(set(self.states)),
            "experiment": self.experiment,
            "owner": self.owner,
            "tag": self.tag,
            "text": self.text,
            "study": self.study,
            "shared": self.shared,
            "assignment": self.assignment,
            "work_on": self.work_on,
            "earlier": self.earlier,
            "course": self.course,
        }


async def page(app: App, principal: Principal, filters: JobFilters, cursor: str | None, limit: int) -> JobPage:
    """One page, newest first. Students see their own jobs. Raises `InvalidCursor`.

    A page of a search for text may be short, or empty, though more follow: each looks through `SEARCHED` jobs at most.
    """
    mapping = filters.as_mapping()
    listed = await listed_jobs(app, principal, filters)
    if listed is None:
        return JobPage(items=[], next_cursor=None)
    searched_to: UUID | None = None

    async def fetch(before: UUID | None, most: int) -> Sequence[Row]:
        nonlocal searched_to
        behind = {"before": before, **listed}
        if filters.text is not None:
            searched_to = await app.database.scalar(statements.last_of, number=SEARCHED, **behind)
        return await app.database.rows(statements.page, limit=most, text=filters.text, down_to=searched_to, **behind)

    rows, next_cursor = await cursors.paged("jobs", mapping, cursor, limit, fetch)
    if next_cursor is None and searched_to is not None:
        next_cursor = cursors.encode("jobs", mapping, str(searched_to))
    return JobPage(items=[summary_of(row) for row in rows], next_cursor=next_cursor)


async def listed_jobs(app: App, principal: Principal, filters: JobFilters) -> dict[str, Any] | None:
    """What narrows a list to the jobs that were asked for and may be seen, but for `text`; None where there are none.

    The values are those that `statements.conditions` takes.
    """
    owner = {} if filters.owner is None else await _called(app, filters.owner)
    work = {} if filters.work_on is None else await _work(app, principal, filters.work_on, earlier=filters.earlier)
    if owner is None or work is None or filters.course not in (None, work.get("course", filters.course)):
        return None
    return {
        **(await _whose(app, principal, filters)),
        **(sharing.shared_with(principal) if filters.shared else {}),
        **owner,
        "course": filters.course,
        **work,
        "states": [state.value for state in filters.states] or None,
        "experiment": filters.experiment,
        "left_out": experiments.of_the_lab() if filters.experiment is None else None,
        "tag": filters.tag,
        "study": filters.study,
        "assignment": filters.assignment,
    }


async def _called(app: App, text: str) -> dict[str, Any] | None:
    """Whose jobs are asked for by a name, an address or an id; None where nobody is called so."""
    found = [row.id for row in await app.database.rows(users.called, text=text)]
    if not found:
        return None
    # One owner's jobs are read by their index, newest first.
    return {"owner": found[0]} if len(found) == 1 else {"namesakes": found}


async def _work(app: App, principal: Principal, assignment_id: UUID, *, earlier: bool) -> dict[str, Any] | None:
    """The runs that count for an assignment: since it was created, or `earlier` ones. None where there is none."""
    row = await app.database.row(assignments.by_id, assignment_id=assignment_id)
    if row is None or not (principal.teaches(row.course_id) or principal.is_in(row.course_id)):
        return None
    side = "submitted_before" if earlier else "submitted_since"
    return {"counting": (row.experiments, row.questions), "course": row.course_id, side: row.created_at}


async def _whose(app: App, principal: Principal, filters: JobFilters) -> dict[str, Any]:
    """What a list is narrowed to: students see their own, staff those of their courses, both shared studies' runs."""
    if filters.shared:
        return {}
    narrowed = sharing.seen_by(principal)
    if narrowed["owner_id"] is None or filters.study is None:
        return narrowed
    return {} if await sharing.is_shared_study(app, principal, filters.study) else narrowed
