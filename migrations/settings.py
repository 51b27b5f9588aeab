"""How the migrations find the database."""

from pathlib import Path

from alembic.config import Config
from sqlalchemy import Engine

from models.database import sync_engine
from models.settings import DatabaseSettings

FOLDER = Path(__file__).parent


def engine() -> Engine:
    return sync_engine(DatabaseSettings().sqlalchemy_url)


def config() -> Config:
    made = Config()
    made.set_main_option("script_location", str(FOLDER))
    made.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return made
