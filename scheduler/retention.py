"""Rings for a sweep of what the lab keeps no longer: now and then, and soon after somebody deleted files."""

import random
import time

import structlog
from celery import Celery
from kombu.exceptions import OperationalError as BrokerError
from sqlalchemy import Engine

from models.composed import run
from models.doorbell import ring_for_retention
from models.settings import SchedulerSettings
from models.statements import nodes
from models.statements.erasure import runs

RETRY_SECONDS = 60.0
MIN_SET_FORWARD_SECONDS = 3600.0
HOLD_SECONDS = 86_400.0
"""How long nothing is deleted for its age after a clock was set forward: it may be wrong."""

log = structlog.get_logger()


class Retention:
    def __init__(self, settings: SchedulerSettings, engine: Engine, celery: Celery) -> None:
        self._settings = settings
        self._engine = engine
        self._celery = celery
        self._due = 0.0
        self._look_at = 0.0

    def hold_after(self, set_by_seconds: float) -> None:
        """The database's clock was set: a wrong one would make everything old."""
        if set_by_seconds > MIN_SET_FORWARD_SECONDS:
            self._due = time.monotonic() + HOLD_SECONDS
            log.warning("retention.held", reason="the clock was set forward; nothing is deleted for its age for a day")

    def ring(self) -> None:
        """Notify one worker when it is time. Any worker is fine: all see the same tables and files."""
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + RETRY_SECONDS
        only_deleted = now < self._due
        with self._engine.begin() as connection:
            if only_deleted and not run(connection, runs.any_file_to_delete).scalar():
                return
            alive = run(connection, nodes.alive, silence_seconds=self._settings.lease_seconds)
            names = [node.name for node in alive]
        if not names:
            return
        try:
            node = random.choice(names)
            ring_for_retention(self._celery, node=node, only_deleted=only_deleted, expires_seconds=RETRY_SECONDS)
        except (BrokerError, OSError) as error:
            log.warning("retention.doorbell_failed", reason=str(error).partition("\n")[0])
            return
        if not only_deleted:
            self._due = now + self._settings.retention_hours * 3600
