"""`python -m worker`: serve this node until SIGTERM or SIGINT."""

import sys

import structlog
from pydantic import ValidationError

from models.database import DATABASE_AWAY, first_line
from models.logs import configure_logs
from models.settings import NodeSettings
from worker.agent import NodeRefusedError
from worker.app import NodeTakenError, Worker


def main() -> int:
    configure_logs()
    log = structlog.get_logger()
    try:
        Worker(NodeSettings()).run()
    except (NodeTakenError, NodeRefusedError, ValidationError) as error:
        log.error("worker.refused", reason=str(error))  # noqa: TRY400 - one line says it all
        return 2
    except DATABASE_AWAY as error:
        log.error("database.away", reason=first_line(error))  # noqa: TRY400 - whoever keeps us alive tries again
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
