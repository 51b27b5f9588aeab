"""`python -m api --host H --port N`: serve until SIGTERM or SIGINT."""

import argparse
import atexit
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress

import uvicorn
from fastapi import FastAPI
from pydantic import ValidationError

from api.app import create_app
from api.http.base_path import ForwardedPrefix
from api.http.protocol import guarded
from api.log_buffer import LogBuffer
from models import lab_process
from models.database import DATABASE_AWAY
from models.logs import configure_logs
from models.outage import persist, refuse_shared_sessions
from models.settings import ApiSettings
from models.store import open_store
from server.open_files import file_limits

GRACE_SECONDS = 10
FILES_OF_ITS_OWN = 100
"""Open beside the connections of clients and of the pool: modules, logs, Redis, files that are sent."""
SWITCH_SECONDS = 0.001
"""How long a computation in a thread may keep the loop from going on; Python's own is five times that."""


class Server(uvicorn.Server):
    """Uvicorn waits for open requests when it stops, so requests that only wait for changes must end then."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self.app = app

    async def shutdown(self, *args: object, **kwargs: object) -> None:
        self.app.state.app.hub.close()
        await super().shutdown(*args, **kwargs)  # type: ignore[arg-type] # passed on as they came


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m api", description="Serve the lab's HTTP interface.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--certificate", help="PEM file with the certificate and its chain, for HTTPS.")
    parser.add_argument("--key", help="PEM file with its key.")
    arguments = parser.parse_args()
    lines = LogBuffer()
    atexit.register(lines.write_out)
    configure_logs(file=lines)
    tls = {"ssl_certfile": arguments.certificate, "ssl_keyfile": arguments.key}
    return lab_process.run(lambda: _serve(arguments.host, arguments.port, tls), ValidationError)


def _serve(host: str, port: int, tls: Mapping[str, str | None]) -> int:
    settings = ApiSettings()
    sys.setswitchinterval(SWITCH_SECONDS)
    persist(lambda: open_store(settings.artifacts_url), event="store.away", away=(OSError,))
    with suppress(*DATABASE_AWAY):  # the API answers without a database too, and says so
        refuse_shared_sessions(settings.libpq_url)
    server = server_of(settings, host=host, port=port, **tls)
    for number in (signal.SIGINT, signal.SIGTERM):
        # Uvicorn stops in order and then raises the signal again, which would end the process with another status.
        signal.signal(number, lambda *_: None)
    server.run()
    return 0 if server.started else 1


def server_of(settings: ApiSettings, *, host: str = "127.0.0.1", port: int = 0, **tls: str | None) -> Server:
    """A server of this API that is ready to run; `tls` are uvicorn's settings for HTTPS."""
    app = create_app(settings)
    config = uvicorn.Config(
        ForwardedPrefix(app, os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1")),  # type: ignore[arg-type] # one ASGI in two spellings
        host=host,
        port=port,
        http=guarded(settings.client_timeout_seconds),
        ws="none",
        access_log=False,
        log_level="warning",
        # Its lines go the way of ours.
        log_config=None,
        # Beyond it uvicorn answers 503 by itself; without room for it, connections would be cut without a word.
        limit_concurrency=max(1, file_limits()[0] - settings.pool_size - FILES_OF_ITS_OWN),
        timeout_graceful_shutdown=GRACE_SECONDS,
        server_header=False,
        # Done by the wrapper around the application.
        proxy_headers=False,
        **tls,  # type: ignore[arg-type] # uvicorn's own names
    )
    return Server(config, app)


if __name__ == "__main__":
    sys.exit(main())
