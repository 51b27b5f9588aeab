"""`python -m scheduler.health`: exits with 0 while some scheduler leads. For container health checks."""

import sys

from models.composed import run
from models.database import DATABASE_AWAY, first_line, sync_engine
from models.lab_process import take_no_options
from models.settings import SchedulerSettings
from models.statements import readiness


def main() -> int:
    take_no_options("scheduler.health", "Exit with 0 while a scheduler leads.")
    engine = sync_engine(SchedulerSettings().sqlalchemy_url, pool_size=1)
    try:
        with engine.connect() as connection:
            leads = run(connection, readiness.leading).scalar_one()
    except DATABASE_AWAY as error:
        return _unwell(f"the database is unreachable: {first_line(error)}")
    return 0 if leads else _unwell("no scheduler leads")


def _unwell(reason: str) -> int:
    print(reason, file=sys.stderr)  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.exit(main())
