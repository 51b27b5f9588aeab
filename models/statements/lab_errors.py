"""What failed in the lab: groups of errors that are alike, of which a bounded number is kept."""

from datetime import datetime

from sqlalchemy import Delete, Select, delete, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import Insert

from models.composed import statement
from models.tables.lab_error import LabError
from models.times import ago

MAX_KEPT = 500
KEPT_DAYS = 30


@statement
def keep(
    fingerprint: str,
    *,
    process: str,
    event: str,
    message: str,
    host: str,
    is_warning: bool,
    count: int,
    first_at: datetime,
    last_at: datetime,
) -> Insert:
    """Add to a group, or begin it."""
    new = insert(LabError).values(
        fingerprint=fingerprint,
        process=process,
        event=event,
        message=message,
        host=host,
        is_warning=is_warning,
        count=count,
        first_at=first_at,
        last_at=last_at,
    )
    changes = {"message": new.excluded.message, "host": new.excluded.host, "last_at": new.excluded.last_at}
    return new.on_conflict_do_update(
        index_elements=[LabError.fingerprint], set_={**changes, "count": LabError.count + new.excluded.count}
    )


@statement
def trim() -> Delete:
    """Delete what was not seen for long, and the oldest beyond the limit."""
    beyond = select(LabError.fingerprint).order_by(LabError.last_at.desc()).offset(MAX_KEPT)
    return delete(LabError).where(or_(LabError.last_at < ago(KEPT_DAYS * 86_400.0), LabError.fingerprint.in_(beyond)))


@statement
def newest() -> Select[LabError]:
    """The last one seen first."""
    return select(*LabError.__table__.c).order_by(LabError.last_at.desc(), LabError.fingerprint).limit(MAX_KEPT)
