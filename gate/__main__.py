"""`python -m gate --folder FOLDER --host H --port N`: let machines in until SIGTERM or SIGINT."""

import argparse
import asyncio
import signal
import sys
from functools import partial
from pathlib import Path

import structlog
from psycopg.conninfo import conninfo_to_dict
from pydantic import ValidationError
from sqlalchemy import Engine

from gate.admission import Admission
from gate.postgres import grant
from gate.server import Gate, Servers
from gate.settings import GateSettings
from gpulab.threads import vital_task
from models import lab_process
from models.database import sync_engine
from models.lab_process import RefusedError
from models.logs import configure_logs
from models.outage import await_database, persist
from models.store import open_store
from server.joining.identity import Identity

REDIS_SCHEME = "unix://"

log = structlog.get_logger()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m gate", description="Let machines join the lab.")
    parser.add_argument("--folder", type=Path, required=True, help="Folder with the certificate and the secret.")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    configure_logs()
    return lab_process.run(lambda: _serve(Identity(arguments.folder), arguments.host, arguments.port), ValidationError)


def _serve(identity: Identity, host: str, port: int) -> int:
    settings = GateSettings()
    servers = _servers(settings)
    engine = sync_engine(settings.sqlalchemy_url)
    await_database(engine)
    persist(partial(_grant, engine))
    gate = Gate(Admission(settings, engine, lambda: identity.secret), servers)
    try:
        asyncio.run(_until_asked(gate, identity, host, port))
    except OSError as error:
        raise RefusedError(f"cannot listen on {host} port {port}: {error.strerror}") from error
    return 0


async def _until_asked(gate: Gate, identity: Identity, host: str, port: int) -> None:
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end.set)
    serving = vital_task(
        "gate", gate.serve(identity, host, port, lambda port: log.info("gate.open", host=host, port=port))
    )
    await end.wait()
    serving.cancel()


def _servers(settings: GateSettings) -> Servers:
    """Raises `RefusedError` where they are not this machine's own, which nobody else can reach."""
    address = conninfo_to_dict(settings.libpq_url)
    folder, number = address.get("host"), address.get("port", 5432)
    if not str(folder).startswith("/") or not settings.redis_url.startswith(REDIS_SCHEME):
        raise RefusedError(
            "only the PostgreSQL and the Redis of `gpulab up` are shared: other servers have their own addresses"
        )
    store = persist(lambda: open_store(settings.artifacts_url), event="store.away", away=(OSError,))
    return Servers(Path(str(folder)) / f".s.PGSQL.{number}", Path(settings.redis_url.removeprefix(REDIS_SCHEME)), store)


def _grant(engine: Engine) -> None:
    with engine.begin() as connection:
        grant(connection)


if __name__ == "__main__":
    sys.exit(main())
