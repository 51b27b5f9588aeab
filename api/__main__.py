"""`python -m api --host H --port N`: serve until SIGTERM or SIGINT."""

import argparse
import atexit
import sys

import uvicorn
from fastapi import FastAPI

from api.app import create_app
from api.late_lines import LateLines
from models.logs import configure_logs
from models.settings import ApiSettings

GRACE_SECONDS = 10


class Server(uvicorn.Server):
    """Uvicorn waits for open requests when it is told to stop; those that only wait for news must let go then."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self.app = app

    async def shutdown(self, *args: object, **kwargs: object) -> None:
        self.app.state.lab.hub.close()
        await super().shutdown(*args, **kwargs)  # type: ignore[arg-type] # passed on as they came


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m api", description="Serve the lab's HTTP interface.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()
    lines = LateLines()
    atexit.register(lines.write_out)
    configure_logs(file=lines)
    app = create_app(ApiSettings())
    config = uvicorn.Config(
        app,
        host=arguments.host,
        port=arguments.port,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=GRACE_SECONDS,
        server_header=False,
    )
    Server(config, app).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
