"""What the scheduler does for estimates: it rings for those that wait."""

import random
from collections.abc import Sequence
from typing import Any

import structlog
from celery import Celery
from kombu.exceptions import OperationalError as BrokerError
from sqlalchemy import Engine

from models.composed import run
from models.doorbell import ring_for_estimate
from models.settings import SchedulerSettings
from models.statements import nodes
from models.statements.memory import estimates
from models.versions import software

log = structlog.get_logger()


class Estimates:
    def __init__(self, settings: SchedulerSettings, engine: Engine, celery: Celery) -> None:
        self._settings = settings
        self._engine = engine
        self._celery = celery

    def ring(self) -> None:
        """Tell a worker of each question that nobody works on; one that has the software it was asked for if any."""
        with self._engine.begin() as connection:
            run(connection, estimates.give_up)
            waiting = run(connection, estimates.due, ring_again_seconds=self._settings.ring_again_seconds).all()
            if not waiting:
                return
            alive = run(connection, nodes.alive, silence_seconds=self._settings.lease_seconds)
            places = [(node.name, software(node.versions)) for node in alive if not node.draining]
        for question in waiting:
            self._ring(question, places)

    def _ring(self, question: Any, places: Sequence[tuple[str, str]]) -> None:
        equal = [node for node, installed in places if installed == question.software]
        names = equal or [node for node, _ in places]
        if not names:
            return
        node = random.choice(names)
        try:
            ring_for_estimate(
                self._celery, node=node, estimate_id=question.id, expires_seconds=self._settings.lease_seconds
            )
        except (BrokerError, OSError) as error:
            log.warning("estimate.doorbell_failed", node=node, reason=str(error).partition("\n")[0])
