"""`python -m migrations.note_death PROCESS HOW`: keeps that a process of the lab died, once the database answers.

`gpulab up` starts it: what the kernel kills cannot say so itself.
"""

import argparse
import sys
import time

import structlog

from models.error_log import ERRORS, engine_for, flush
from models.logs import configure_logs
from models.outage import ONE_SHOT_SECONDS
from models.settings import DatabaseSettings

PAUSE_SECONDS = 0.5


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m migrations.note_death")
    parser.add_argument("process")
    parser.add_argument("how")
    given = parser.parse_args()
    ERRORS.process = given.process
    configure_logs()
    structlog.get_logger().error("process.died", reason=given.how)
    engine = engine_for(DatabaseSettings().database_url)
    deadline = time.monotonic() + ONE_SHOT_SECONDS
    while not flush(engine):
        if time.monotonic() > deadline:
            return 1
        time.sleep(PAUSE_SECONDS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
