"""Alembic's entry: our metadata, our connection, our way to carry out statements."""

from alembic import context
from sqlalchemy import Connection

from migrations import steps as _our_way  # noqa: F401 - Alembic finds it once it is loaded
from migrations.settings import VERSION_TABLE, engine
from models import Base


def run(connection: Connection) -> None:
    connection.commit()
    connection.execution_options(isolation_level="AUTOCOMMIT")
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_server_default=False,
        version_table=VERSION_TABLE,
    )
    context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with engine().connect() as own:
        run(own)
