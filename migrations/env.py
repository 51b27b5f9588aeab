"""Alembic's entry: our metadata, our connection. Migrations run in one transaction and hold no lock for long."""

from alembic import context
from sqlalchemy import Connection, text

from migrations.settings import engine
from models import Base

LOCK_TIMEOUT = "5s"


def run(connection: Connection) -> None:
    connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
    connection.commit()
    context.configure(connection=connection, target_metadata=Base.metadata, compare_server_default=False)
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with engine().connect() as own:
        run(own)
