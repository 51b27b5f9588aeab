"""`python -m api.admin --token-file PATH`: make sure that there is an admin, and a working token of theirs in PATH."""

import argparse
import os
import sys
from pathlib import Path

import structlog
from pydantic import ValidationError
from sqlalchemy import Connection

from api.audit.statements import OPERATOR
from api.auth.token_secrets import digest_of, new_token, prefix_of
from api.tokens import statements as tokens
from api.users import statements as users
from gpulab.states import Role
from models import lab_process
from models.composed import run
from models.database import sync_engine
from models.logs import configure_logs
from models.outage import ONE_SHOT_SECONDS, persist
from models.settings import DatabaseSettings

ADMIN = "admin"

log = structlog.get_logger()


def ensure_token(connection: Connection, path: Path) -> bool:
    """Leave a token in `path` that an admin can use; whether it had to be made."""
    if path.exists() and _works(connection, path.read_text(encoding="utf-8-sig").strip()):
        path.chmod(0o600)
        return False
    token = new_token()
    user_id = run(connection, users.ensure_admin, name=ADMIN).scalar_one()
    values = {"name": "bootstrap", "digest": digest_of(token), "prefix": prefix_of(token), "expires_at": None}
    run(connection, tokens.make, user_id=user_id, values=values, origin=OPERATOR)
    _write_private(path, token)
    return True


def _works(connection: Connection, token: str) -> bool:
    row = run(connection, users.bearers, digests=[digest_of(token)]).first()
    return row is not None and row.good and row.role == Role.ADMIN


def _write_private(path: Path, token: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(token + "\n")
    draft.replace(path)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m api.admin", description="Make an admin and a token.")
    parser.add_argument("--token-file", type=Path, required=True)
    arguments = parser.parse_args()
    configure_logs()
    return lab_process.run(lambda: _ensure(arguments.token_file), ValidationError)


def _ensure(path: Path) -> None:
    engine = sync_engine(DatabaseSettings().sqlalchemy_url, pool_size=1)

    def ensure() -> bool:
        with engine.begin() as connection:
            return ensure_token(connection, path)

    made = persist(ensure, limit_seconds=ONE_SHOT_SECONDS)
    engine.dispose()
    log.info("token.made" if made else "token.kept", path=str(path))


if __name__ == "__main__":
    sys.exit(main())
