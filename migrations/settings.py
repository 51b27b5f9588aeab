"""How the migrations find the database."""

from pathlib import Path

from alembic.config import Config
from sqlalchemy import Engine

from models.database import sync_engine
from models.settings import DatabaseSettings

FOLDER = Path(__file__).parent
VERSION_TABLE = "schema_version"
"""Not Alembic's own name: a database from before the first release has that one, for other tables."""


def engine() -> Engine:
    return sync_engine(DatabaseSettings().sqlalchemy_url)


def config() -> Config:
    made = Config()
    made.set_main_option("script_location", str(FOLDER))
    made.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return made
