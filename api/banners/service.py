"""What users are told on every page: texts of staff, planned maintenance, and machines that are drained."""

from hashlib import sha256
from uuid import UUID

from api import deadlines
from api.banners import statements
from api.context import App
from api.http.problems import BannerNotFound
from api.sql.database import Row
from gpulab.schemas.notifications import BannerCreate, BannerKind, BannerPage, BannerRead


async def page(app: App) -> BannerPage:
    """Texts of staff first, newest first; then the machines that are drained."""
    written = await app.database.rows(statements.shown)
    drained = await app.database.rows(statements.draining)
    return BannerPage(items=[*map(_read, written), *map(_drained, drained)])


async def create(app: App, order: BannerCreate) -> BannerRead:
    """Raises `InvalidRequest`."""
    starts_at = None
    if order.starts_at is not None:
        starts_at = deadlines.read(order.starts_at, app.settings.time_zone, "starts_at")
    ends_at = await deadlines.deadline(app, "ends_at", order.ends_at)
    if starts_at is not None:
        await deadlines.check_in_future(app, "ends_at", ends_at, after=starts_at)
    row = await app.database.row(statements.add, text=order.text, ends_at=ends_at, starts_at=starts_at)
    assert row is not None  # noqa: S101 - an INSERT of one row returns it
    return _read(row)


async def end(app: App, banner_id: UUID) -> None:
    """Raises `BannerNotFound`."""
    if await app.database.row(statements.end, banner_id=banner_id) is None:
        raise BannerNotFound(f"no banner has the id {banner_id}")


def _read(row: Row) -> BannerRead:
    kind = BannerKind.TEXT if row.starts_at is None else BannerKind.MAINTENANCE
    return BannerRead(id=str(row.id), kind=kind, text=row.text, starts_at=row.starts_at, ends_at=row.ends_at)


def _drained(row: Row) -> BannerRead:
    text = f"{row.name} takes no new jobs; running jobs continue. Reason: {row.reason or 'not given'}."
    # Another reason is another banner.
    key = sha256(text.encode()).hexdigest()[:16]
    return BannerRead(id=f"drain-{key}", kind=BannerKind.DRAIN, text=text, starts_at=None, ends_at=None)
