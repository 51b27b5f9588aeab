"""`python -m worker.health`: exits with 0 while this node's heartbeat is young. For container health checks."""

import sys

from models.composed import run
from models.database import DATABASE_AWAY, first_line, sync_engine
from models.lab_process import take_no_options
from models.settings import NodeSettings
from models.statements import nodes


def main() -> int:
    take_no_options("worker.health", "Exit with 0 while this node's last heartbeat is recent.")
    settings = NodeSettings()
    engine = sync_engine(settings.sqlalchemy_url, pool_size=1)
    try:
        with engine.connect() as connection:
            alive = run(connection, nodes.alive, silence_seconds=settings.lease_seconds)
            here = any(node.name == settings.node for node in alive)
    except DATABASE_AWAY as error:
        return _unwell(f"the database is unreachable: {first_line(error)}")
    silent = f"node {settings.node} sent no heartbeat in the last {settings.lease_seconds:g} s"
    return 0 if here else _unwell(silent)


def _unwell(reason: str) -> int:
    print(reason, file=sys.stderr)  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.exit(main())
