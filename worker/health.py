"""`python -m worker.health`: exits with 0 while this node's heartbeat is young. For container health checks."""

import sys

from models.database import sync_engine
from models.node import Node
from models.settings import NodeSettings
from models.statements.nodes import alive


def main() -> int:
    settings = NodeSettings()
    engine = sync_engine(settings.sqlalchemy_url, pool_size=1)
    with engine.connect() as connection:
        here = connection.execute(alive(settings.lease_seconds).where(Node.name == settings.node)).first()
    if here is None:
        print(f"node {settings.node} was not heard of in the last {settings.lease_seconds:g} s", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
