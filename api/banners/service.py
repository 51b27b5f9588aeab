"""What users are told on every page: texts of staff, planned maintenance, and machines that are drained."""

from collections.abc import Sequence
from hashlib import sha256
from uuid import UUID

from api import deadlines
from api.auth.principal import Principal
from api.banners import statements
from api.context import App
from api.courses.access import course_of_staff
from api.http.problems import BannerNotFound, Forbidden
from api.sql.database import Row
from gpulab.schemas.notifications import BannerCreate, BannerKind, BannerPage, BannerRead


async def page(app: App, principal: Principal) -> BannerPage:
    """Texts of staff first, newest first; then the machines that are drained.

    Staff see what was written to others of their courses.
    """
    standing = principal.standing
    if principal.sees_all:
        written = await app.database.rows(statements.shown)
    else:
        written = await app.database.rows(
            statements.shown, reader=principal.id, courses=standing.course_ids, taught=standing.taught_ids
        )
    drained = await app.database.rows(statements.draining)
    return BannerPage(items=[*(_read(row, principal) for row in written), *map(_drained, drained)])


async def create(app: App, principal: Principal, order: BannerCreate) -> BannerRead:
    """To a course, or to the whole lab by those who see all of it. Raises `InvalidRequest`, `CourseArchived`."""
    course_id, starts_at = None, None
    if order.course_id is not None or not principal.sees_all:
        course_id = await course_of_staff(app, principal, order.course_id)
    if order.starts_at is not None:
        starts_at = deadlines.read(order.starts_at, app.settings.time_zone, "starts_at")
    ends_at = await deadlines.deadline(app, "ends_at", order.ends_at)
    if starts_at is not None:
        await deadlines.check_in_future(app, "ends_at", ends_at, after=starts_at)
    row = await app.database.row(
        statements.add, text=order.text, course_id=course_id, ends_at=ends_at, starts_at=starts_at
    )
    assert row is not None  # noqa: S101 - an INSERT of one row returns it
    return _read(row, principal)


async def write_to(app: App, course_id: UUID, readers: Sequence[UUID], text: str, ends_at: str) -> None:
    """A banner that only these users of the course see. Raises `InvalidRequest`."""
    until = await deadlines.deadline(app, "ends_at", ends_at)
    await app.database.row(statements.add, text=text, course_id=course_id, ends_at=until, readers=readers)


async def end(app: App, principal: Principal, banner_id: UUID) -> None:
    """Raises `BannerNotFound`, `Forbidden`."""
    row = await app.database.row(statements.by_id, banner_id=banner_id)
    if row is not None and not principal.teaches(row.course_id):
        if not (row.course_id is None or principal.is_in(row.course_id)):
            raise _not_found(banner_id)
        raise Forbidden("only instructors of its course, or admins, may end a banner")
    if await app.database.row(statements.end, banner_id=banner_id) is None:
        raise _not_found(banner_id)


def _not_found(banner_id: UUID) -> BannerNotFound:
    return BannerNotFound(f"no banner has the id {banner_id}")


def _read(row: Row, principal: Principal) -> BannerRead:
    kind = BannerKind.TEXT if row.starts_at is None else BannerKind.MAINTENANCE
    readers = len(row.readers) if principal.teaches(row.course_id) and row.readers is not None else None
    names = ("text", "course_id", "starts_at", "ends_at")
    values = {name: getattr(row, name) for name in names}
    return BannerRead(id=str(row.id), kind=kind, readers=readers, can_end=principal.teaches(row.course_id), **values)


def _drained(row: Row) -> BannerRead:
    text = f"{row.name} takes no new jobs; running jobs continue. Reason: {row.reason or 'not given'}."
    # Another reason is another banner.
    key = sha256(text.encode()).hexdigest()[:16]
    nothing = dict.fromkeys(("course_id", "starts_at", "ends_at", "readers"))
    return BannerRead(id=f"drain-{key}", kind=BannerKind.DRAIN, text=text, can_end=False, **nothing)
