"""`python -m scheduler.health`: exits with 0 while some scheduler leads. For container health checks."""

import sys

from sqlalchemy import text

from models.database import sync_engine
from models.settings import SchedulerSettings
from scheduler.loop import LEADER_LOCK

# PostgreSQL shows the two halves of a 64-bit advisory key in two columns.
_LEADERS = text(
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1"
    " AND classid = CAST(:key AS bigint) >> 32 AND objid = CAST(:key AS bigint) & 4294967295"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


def main() -> int:
    engine = sync_engine(SchedulerSettings().sqlalchemy_url, pool_size=1)
    with engine.connect() as connection:
        leaders = connection.execute(_LEADERS, {"key": LEADER_LOCK}).scalar_one()
    if not leaders:
        print("no scheduler leads", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
