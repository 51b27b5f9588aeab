"""`python -m api.print_openapi`: print the API's contract, as `/openapi.json` serves it. Needs no server of the lab."""

import sys

import orjson

from api.app import create_app
from models.settings import ApiSettings

NOWHERE = "postgresql://127.0.0.1/none"


def document() -> bytes:
    """The contract as JSON. Nothing is connected: only a lifespan does that."""
    settings = ApiSettings(database_url=NOWHERE, redis_url="redis://127.0.0.1/0", artifacts_url="file:///dev/null")
    return orjson.dumps(create_app(settings).openapi(), option=orjson.OPT_INDENT_2)


if __name__ == "__main__":
    sys.stdout.buffer.write(document() + b"\n")
