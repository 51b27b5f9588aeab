"""Questions about GPU memory as a worker holds them: claimed, kept while it is at work, and given back or answered.

A message says only that questions wait. The worker claims the one whose user's turn it is, which may not be the one in
the message. While it works the claim is renewed; another worker may take one that runs out.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Engine

from experiments.memory.devices import GpuAsked, nothing_predicted
from experiments.versions import versions
from models.composed import Statement, run
from models.database import DATABASE_AWAY, first_line
from models.settings import NodeSettings
from models.statements.memory import estimates
from worker.runs import advice
from worker.runs.zygote import End, NotStartedError

LOOK_SECONDS = 0.2

log = structlog.get_logger()


class Answerer(ABC):
    """A few separate threads. `offer` returns immediately and may be called from any thread."""

    def __init__(self, settings: NodeSettings, engine: Engine, max_concurrent: int) -> None:
        self._settings = settings
        self._engine = engine
        self._leaving = Event()
        self._threads = ThreadPoolExecutor(max_concurrent, thread_name_prefix="estimator")

    def offer(self, estimate_id: UUID) -> None:
        """Answer one question when a thread is free: the one that is next by then."""
        with suppress(RuntimeError):  # notified while the worker stops: another one is notified in time
            self._threads.submit(self._guarded, estimate_id)

    def leave(self) -> None:
        """Give back what is under way, and take up nothing more."""
        self._leaving.set()
        self._threads.shutdown(wait=False, cancel_futures=True)

    @abstractmethod
    def _work_on(self, question: Any) -> None:
        """Answer, fail or give back a question that was claimed.

        `NotStartedError` and `OSError` are the machine's trouble: the question is handed on.
        """

    def _guarded(self, estimate_id: UUID) -> None:
        try:
            self._answer(estimate_id)
        except DATABASE_AWAY as error:
            # The row knows: its claim runs out, and it is rung for again.
            log.warning("estimate.database_away", estimate_id=str(estimate_id), reason=first_line(error))
        except Exception:
            log.exception("estimate.failed", estimate_id=str(estimate_id))

    def _answer(self, rung_for: UUID) -> None:
        if self._leaving.is_set():
            return
        node, seconds = self._settings.node, self._settings.lease_seconds
        with self._engine.begin() as connection:
            claimed = run(connection, estimates.claim, estimate_id=rung_for, node=node, lease_seconds=seconds)
            question = claimed.first()
        if question is None:
            return
        try:
            self._work_on(question)
        except (NotStartedError, OSError) as error:
            self._hand_on(question.id, question.token, str(error))

    def _hold(
        self,
        wait: Callable[[float], bool],
        estimate_id: UUID,
        token: UUID,
        *,
        max_seconds: float,
        too_late: Callable[[], object],
    ) -> bool:
        """Renew the claim until what is waited for is there, and whether the answer is still ours to give.

        `too_late` is called where it is not there after the longest time; what it raises is raised.
        """
        deadline = time.monotonic() + max_seconds
        renew_at = time.monotonic() + self._settings.heartbeat_seconds
        while not wait(LOOK_SECONDS):
            now = time.monotonic()
            if self._leaving.is_set():
                self._release(estimate_id, token)
                return False
            if now >= deadline:
                log.warning("estimate.too_late", estimate_id=str(estimate_id), seconds=max_seconds)
                too_late()
                return False
            if now >= renew_at:
                renew_at = now + self._settings.heartbeat_seconds
                if not self._run(estimates.renew, estimate_id, token, lease_seconds=self._settings.lease_seconds):
                    return False
        return True

    def _conclude(
        self, question: Any, statement: Statement[...], event: str, seconds: float, given: dict[str, Any]
    ) -> None:
        """Write an answer, or why there is none."""
        with self._engine.begin() as connection:
            ours = {"estimate_id": question.id, "token": question.token}
            counts = run(connection, statement, **ours, **given).first() is not None
            if any(gpu.get("outgrown") for gpu in question.wanted.values()):
                advice.attach(connection, question.id, actor=f"node:{self._settings.node}")
        log.info(event, estimate_id=str(question.id), seconds=round(seconds, 2), too_late=not counts)

    def _refuse(self, question: Any, seconds: float, reason: str) -> None:
        """Nothing is predicted for the GPUs that are still open. What was answered before stands."""
        if question.prediction is None:
            self._conclude(question, estimates.fail, "estimate.refused", seconds, {"reason": reason})
            return
        refused = {
            key: refused_verdict(GpuAsked.model_validate(gpu), reason) for key, gpu in unanswered(question).items()
        }
        given = {"prediction": None, "fits": question.fits | refused}
        self._conclude(question, estimates.answer, "estimate.refused", seconds, given)

    def _hand_on(self, estimate_id: UUID, token: UUID, reason: str) -> None:
        """The machine failed, and not the question: another try follows, and this one does not count."""
        log.warning("estimate.handed_on", estimate_id=str(estimate_id), reason=reason)
        self._leaving.wait(LOOK_SECONDS)
        self._release(estimate_id, token)

    def _release(self, estimate_id: UUID, token: UUID) -> None:
        with self._engine.begin() as connection:
            run(connection, estimates.release, estimate_id=estimate_id, token=token)

    def _run(self, statement: Statement[...], estimate_id: UUID, token: UUID, **given: Any) -> bool:
        """Whether the question is still ours."""
        with self._engine.begin() as connection:
            return run(connection, statement, estimate_id=estimate_id, token=token, **given).first() is not None


def trouble_of(end: End | None) -> str:
    """What the machine did to the process, in words; empty where it did nothing."""
    if end == End(None):
        return "its zygote died"
    return end.words if end else ""


def refused_verdict(asked: GpuAsked, reason: str) -> dict[str, Any]:
    """That nothing is predicted for one GPU, as it is stored."""
    return nothing_predicted(asked, reason, versions()["torch"]).model_dump(mode="json")


def unanswered(question: Any) -> dict[str, Any]:
    """The GPUs without a verdict, by key."""
    return {key: gpu for key, gpu in sorted(question.wanted.items()) if key not in question.fits}
