"""How the migrations find the database."""

from pathlib import Path

from alembic.config import Config
from sqlalchemy import Engine

from models.database import sync_engine
from models.settings import DatabaseSettings

LOCK_TIMEOUT_MILLISECONDS = 500
"""Less than PostgreSQL's deadlock_timeout (1 s): where two block each other, the migration gives up first."""
FOLDER = Path(__file__).parent


def engine() -> Engine:
    return sync_engine(DatabaseSettings().sqlalchemy_url)


def lock_timeout() -> str:
    """How long a migration waits for a lock, in milliseconds, as PostgreSQL takes it."""
    return str(LOCK_TIMEOUT_MILLISECONDS)


def config() -> Config:
    made = Config()
    made.set_main_option("script_location", str(FOLDER))
    made.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return made
