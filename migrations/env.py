"""Alembic's entry: our metadata, our connection.

Each migration is a transaction of its own, so that no lock is held for the length of several, and gives up rather than
wait long for a lock, since everybody else queues behind who waits. `python -m migrations` tries again.
"""

from alembic import context
from sqlalchemy import Connection, text

from migrations.settings import engine, lock_timeout
from models import Base


def run(connection: Connection) -> None:
    connection.execute(text("SELECT set_config('lock_timeout', :wait, false)"), {"wait": lock_timeout()})
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_server_default=False,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with engine().connect() as own:
        run(own)
