"""`python -m worker`: serve this node until SIGTERM or SIGINT."""

import sys

from pydantic import ValidationError

from models import program
from models.logs import configure_logs
from models.settings import NodeSettings
from worker.app import Worker


def main() -> int:
    program.take_no_options("worker", "Serve this node until SIGTERM or SIGINT. Settings come from the environment.")
    configure_logs()
    return program.run(lambda: Worker(NodeSettings()).run(), ValidationError)


if __name__ == "__main__":
    sys.exit(main())
