"""`python -m scheduler`: runs until SIGTERM or SIGINT."""

import signal
import sys
from threading import Event

from pydantic import ValidationError

from gpulab.threads import VitalThread
from models import lab_process
from models.database import sync_engine
from models.logs import configure_logs
from models.settings import SchedulerSettings
from scheduler.erasure.eraser import Eraser
from scheduler.loop import Scheduler
from scheduler.notifications.sender import Sender


def main() -> int:
    lab_process.take_no_options(
        "scheduler", "Schedule jobs until SIGTERM or SIGINT. Settings come from the environment."
    )
    configure_logs()
    return lab_process.run(_schedule, ValidationError)


def _schedule() -> None:
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    settings = SchedulerSettings()
    # Beside the loop: a mail server that hangs keeps no job waiting.
    sender = Sender(settings, sync_engine(settings.sqlalchemy_url, pool_size=2), stop)
    VitalThread("notifications", sender.run, until=stop).start()
    # So does a user who is deleted, with thousands of runs.
    eraser = Eraser(sync_engine(settings.sqlalchemy_url, pool_size=1), stop)
    VitalThread("erasure", eraser.run, until=stop).start()
    Scheduler(settings, sync_engine(settings.sqlalchemy_url, pool_size=2), stop).run()


if __name__ == "__main__":
    sys.exit(main())
