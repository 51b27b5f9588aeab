"""Rings for a sweep of what the lab keeps no longer, now and then."""

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

RETRY_SECONDS = 60.0

log = structlog.get_logger()


class Retention:
    def __init__(self, settings: SchedulerSettings, engine: Engine, celery: Celery) -> None:
        self._settings = settings
        self._engine = engine
        self._celery = celery
        self._due = 0.0

    def ring(self) -> None:
        """Notify one worker when it is time. Any worker is fine: all see the same tables and files."""
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + RETRY_SECONDS
        with self._engine.begin() as connection:
            alive = run(connection, nodes.alive, silence_seconds=self._settings.lease_seconds)
            names = [node.name for node in alive]
        if not names:
            return
        try:
            ring_for_retention(self._celery, node=random.choice(names), expires_seconds=RETRY_SECONDS)
        except (BrokerError, OSError) as error:
            log.warning("retention.doorbell_failed", reason=str(error).partition("\n")[0])
            return
        self._due = now + self._settings.retention_hours * 3600
