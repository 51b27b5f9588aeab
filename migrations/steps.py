"""How the statements of a migration are carried out: one transaction each, again until it gets its lock.

A transaction that holds one table while it waits for the next can block, and be blocked by, one that takes them in
another order. None of ours holds more than one statement needs, for longer than that takes, so who queues behind it
waits for `LOCK_TIMEOUT_MILLISECONDS` and a change of the catalogue at most. The price: an upgrade that is killed leaves
some of its statements done. The next one finds what they made and goes on.
"""

import time
from typing import Any

import structlog
from alembic.ddl.postgresql import PostgresqlImpl
from psycopg import errors
from sqlalchemy import CursorResult, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateIndex, DropIndex

LOCK_TIMEOUT_MILLISECONDS = 200
"""Less than PostgreSQL's deadlock_timeout (1 s): if two transactions block each other, only the migration gives up."""
TIMEOUT_SECONDS = 240.0
"""With one statement."""
PAUSE_SECONDS = 0.3
"""Between two attempts, so that who queued behind the first gets on."""
BUSY = (errors.LockNotAvailable, errors.DeadlockDetected)
MADE_BEFORE = (errors.DuplicateTable, errors.DuplicateColumn, errors.DuplicateObject, errors.DuplicateFunction)

log = structlog.get_logger()


class OneByOne(PostgresqlImpl):
    """PostgreSQL's statements for Alembic, which takes the last class that names a dialect. Needs autocommit."""

    __dialect__ = "postgresql"
    transactional_ddl = False

    def _exec(self, construct: Any, *args: Any, **kwargs: Any) -> CursorResult[Any] | None:
        waits_for_all = isinstance(construct, CreateIndex | DropIndex) and _is_concurrent(construct)
        if waits_for_all and isinstance(construct, CreateIndex):
            self._drop_unfinished(str(construct.element.name))
        # Building or dropping an index beside the others blocks none of them, and waits for those older than itself.
        self._set_lock_timeout(0 if waits_for_all else LOCK_TIMEOUT_MILLISECONDS)
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while True:
            try:
                return super()._exec(construct, *args, **kwargs)
            except DBAPIError as error:
                if isinstance(error.orig, MADE_BEFORE):
                    log.info("migration.made_before", reason=str(error.orig).partition("\n")[0])
                    return None
                if not isinstance(error.orig, BUSY) or time.monotonic() > deadline:
                    raise
                log.warning("migration.waits", reason="another transaction holds a lock that it needs")
                time.sleep(PAUSE_SECONDS)

    def _set_lock_timeout(self, milliseconds: int) -> None:
        self._ask("SELECT set_config('lock_timeout', :wait, false)", wait=str(milliseconds))

    def _drop_unfinished(self, index: str) -> None:
        """What an upgrade that was killed while it built an index left behind."""
        unfinished = "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid"
        if self._ask(unfinished, name=index).first():
            self._ask(f"DROP INDEX CONCURRENTLY {index}")

    def _ask(self, statement: str, **values: str) -> CursorResult[Any]:
        assert self.connection is not None  # noqa: S101 - there is none only where SQL is printed
        return self.connection.execute(text(statement), values)


def _is_concurrent(construct: CreateIndex | DropIndex) -> bool:
    return bool(construct.element.dialect_options["postgresql"]["concurrently"])
