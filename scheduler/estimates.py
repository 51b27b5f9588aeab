"""What the scheduler does for estimates: it rings for those that wait."""

import random
from collections.abc import Sequence
from typing import Any

import structlog
from celery import Celery
from kombu.exceptions import OperationalError as BrokerError
from sqlalchemy import Connection, Engine

from models.composed import run
from models.doorbell import ring_for_estimate
from models.settings import SchedulerSettings
from models.statements import nodes
from models.statements.memory import estimates
from models.tables.estimate import PROGRAM
from models.versions import software

log = structlog.get_logger()


class Estimates:
    def __init__(self, settings: SchedulerSettings, engine: Engine, celery: Celery) -> None:
        self._settings = settings
        self._engine = engine
        self._celery = celery

    def ring(self) -> None:
        """Notify a worker of each question without a worker; one with the requested software if there is any."""
        with self._engine.begin() as connection:
            run(connection, estimates.give_up)
            waiting = run(connection, estimates.due, ring_again_seconds=self._settings.ring_again_seconds).all()
            if not waiting:
                return
            alive = run(connection, nodes.alive, silence_seconds=self._settings.lease_seconds)
            places = [node for node in alive if not node.draining]
            due = [question for question in waiting if not self._refused(connection, question, places)]
        for question in due:
            self._ring(question, places)

    def _refused(self, connection: Connection, question: Any, places: Sequence[Any]) -> bool:
        """Whether no node of the lab can take the question up; then it fails, and says why."""
        reason = _refusal(question, places)
        if reason is not None:
            run(connection, estimates.refuse, estimate_id=question.id, reason=reason)
        return reason is not None

    def _ring(self, question: Any, places: Sequence[Any]) -> None:
        able = [node for node in places if _why_not(question, node) is None]
        equal = [node for node in able if software(node.versions) == question.software]
        if not able:
            return
        node = random.choice(equal or able).name
        try:
            ring_for_estimate(
                self._celery,
                node=node,
                estimate_id=question.id,
                is_program=question.family == PROGRAM,
                expires_seconds=self._settings.lease_seconds,
            )
        except (BrokerError, OSError) as error:
            log.warning("estimate.doorbell_failed", node=node, reason=str(error).partition("\n")[0])


def _refusal(question: Any, places: Sequence[Any]) -> str | None:
    """Why no node can take the question up, where there are nodes and all say why."""
    reasons = [_why_not(question, node) for node in places]
    return reasons[0] if reasons and None not in reasons else None


def _why_not(question: Any, node: Any) -> str | None:
    """Why a node cannot take the question up; only those about programs ask for more than the software."""
    if question.family != PROGRAM:
        return None
    refused: str | None = node.refused_experiments.get(question.experiment)
    missing = sorted({*(question.datasets or ())} - {*node.datasets})
    return refused or (f"node {node.name} does not have the data set {missing[0]!r}" if missing else None)
