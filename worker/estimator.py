"""Answers questions about GPU memory: each in a process forked from the zygote, which takes
steps on emulated cards.

A message says only that questions wait. The worker claims the one whose user's turn it is, which may not be the one in
the message. While the process works the claim is renewed; another worker may take one that runs out.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from shutil import rmtree
from threading import Event
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Engine

from experiments.hosting.record_reader import RecordReader
from experiments.hosting.wire import Disturbed, Failed, RunOrder, Succeeded
from experiments.internal.memory_estimate.spec import SLUG
from models.composed import Statement, run
from models.database import DATABASE_AWAY, first_line
from models.settings import NodeSettings
from models.statements.memory import estimates
from worker.runs import advice
from worker.runs.zygote import End, JobProcess, NotStartedError, Zygote

MAX_CONCURRENT = 2
MAX_SECONDS = 120.0
LOOK_SECONDS = 0.2

log = structlog.get_logger()


class Estimator:
    """A few threads of its own. `offer` returns at once and may be called from any thread."""

    def __init__(self, settings: NodeSettings, engine: Engine, zygote: Zygote) -> None:
        self._settings = settings
        self._engine = engine
        self._zygote = zygote
        self._leaving = Event()
        self._threads = ThreadPoolExecutor(MAX_CONCURRENT, thread_name_prefix="estimator")

    def clear_up(self) -> None:
        """Free what the worker before this one was at when it died."""
        with self._engine.begin() as connection:
            run(connection, estimates.abandoned, node=self._settings.node)

    def offer(self, estimate_id: UUID) -> None:
        """Answer one question when a thread is free: the one that is next by then."""
        with suppress(RuntimeError):  # rung while the worker leaves: another one is told in time
            self._threads.submit(self._guarded, estimate_id)

    def leave(self) -> None:
        """Give back what is under way, and take up nothing more."""
        self._leaving.set()
        self._threads.shutdown(wait=False, cancel_futures=True)

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
        estimate_id = question.id
        folder = self._settings.runs_folder / f"estimate-{estimate_id}-{question.token}"
        try:
            # Claimed before the zygote is warm, so that the lab sees that somebody is at it.
            # A machine that is slow to load torch says nothing about the question.
            release = partial(self._release, estimate_id, question.token)
            if not self._hold(self._zygote.await_warm, estimate_id, question.token, too_late=release):
                return
            started = time.monotonic()
            process = self._start(folder, question)
            try:
                words = f"it took longer than {MAX_SECONDS:g} s"
                late = partial(self._run, estimates.fail, estimate_id, question.token, reason=words)
                finished = self._hold(process.wait, estimate_id, question.token, too_late=late)
            finally:
                process.kill()
            if not finished:
                return
            if trouble := _trouble(process.end):
                self._hand_on(estimate_id, question.token, trouble)
            else:
                self._conclude(folder, estimate_id, question, time.monotonic() - started)
        except (NotStartedError, OSError) as error:
            self._hand_on(estimate_id, question.token, str(error))
        finally:
            rmtree(folder, ignore_errors=True)

    def _start(self, folder: Path, question: Any) -> JobProcess:
        folder.mkdir(parents=True)
        RunOrder(
            experiment=SLUG,
            spec={
                "workload": question.workload,
                "gpus": list(_missing(question).values()),
                "editable": question.editable,
            },
            datasets_folder=self._settings.datasets_folder,
            cache_folder=self._settings.cache_folder,
        ).write(folder)
        return self._zygote.start(folder, "")

    def _hold(
        self, wait: Callable[[float], bool], estimate_id: UUID, token: UUID, *, too_late: Callable[[], object]
    ) -> bool:
        """Renew the claim until what is waited for is there, and whether the answer is still ours to give.

        `too_late` is called where it is not there after the longest time.
        """
        deadline = time.monotonic() + MAX_SECONDS
        renew_at = time.monotonic() + self._settings.heartbeat_seconds
        while not wait(LOOK_SECONDS):
            now = time.monotonic()
            if self._leaving.is_set():
                self._release(estimate_id, token)
                return False
            if now >= deadline:
                log.warning("estimate.too_late", estimate_id=str(estimate_id), seconds=MAX_SECONDS)
                too_late()
                return False
            if now >= renew_at:
                renew_at = now + self._settings.heartbeat_seconds
                if not self._run(estimates.renew, estimate_id, token, lease_seconds=self._settings.lease_seconds):
                    return False
        return True

    def _conclude(self, folder: Path, estimate_id: UUID, question: Any, seconds: float) -> None:
        match RecordReader(folder).ending():
            case Succeeded(value=found):
                fits = dict(zip(_missing(question), found["gpus"], strict=True))
                statement: Statement[...] = estimates.answer
                given = {"prediction": found["prediction"], "fits": question.fits | fits}
                event = "estimate.answered"
            case Failed(message=message):
                statement, given = estimates.fail, {"reason": message}
                event = "estimate.refused"
            case Disturbed(message=message):
                self._hand_on(estimate_id, question.token, message)
                return
            case _:
                # Killed from outside. The claim runs out, and the attempt counts.
                log.warning("estimate.lost", estimate_id=str(estimate_id))
                return
        with self._engine.begin() as connection:
            ours = {"estimate_id": estimate_id, "token": question.token}
            counts = run(connection, statement, **ours, **given).first() is not None
            if any(gpu.get("outgrown") for gpu in question.wanted.values()):
                advice.attach(connection, estimate_id, actor=f"node:{self._settings.node}")
        log.info(event, estimate_id=str(estimate_id), seconds=round(seconds, 2), too_late=not counts)

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


def _trouble(end: End | None) -> str:
    """What the machine did to the process, in words; empty where it did nothing."""
    if end == End(None):
        return "its zygote died"
    return end.words if end else ""


def _missing(question: Any) -> dict[str, Any]:
    """The GPUs without a verdict, by key."""
    return {key: gpu for key, gpu in sorted(question.wanted.items()) if key not in question.fits}
