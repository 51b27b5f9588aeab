"""Answers questions about GPU memory: each in a process forked from the zygote, which takes steps on emulated cards."""

import time
from functools import partial
from pathlib import Path
from shutil import rmtree
from typing import Any

import structlog
from sqlalchemy import Engine

from experiments.hosting.record_reader import RecordReader
from experiments.hosting.wire import Disturbed, Failed, RunOrder, Succeeded
from experiments.internal.memory_estimate.spec import SLUG
from models.composed import run
from models.settings import NodeSettings
from models.statements.memory import estimates
from worker.questions import Answerer, trouble_of, unanswered
from worker.runs.zygote import JobProcess, Zygote

MAX_CONCURRENT = 2
MAX_SECONDS = 120.0

log = structlog.get_logger()


class Estimator(Answerer):
    """For questions about what the catalogue trains."""

    def __init__(self, settings: NodeSettings, engine: Engine, zygote: Zygote) -> None:
        super().__init__(settings, engine, MAX_CONCURRENT)
        self._zygote = zygote

    def clear_up(self) -> None:
        """Free what the worker before this one was at when it died."""
        with self._engine.begin() as connection:
            run(connection, estimates.abandoned, node=self._settings.node)

    def _work_on(self, question: Any) -> None:
        folder = self._settings.runs_folder / f"estimate-{question.id}-{question.token}"
        ours = question.id, question.token
        try:
            # Claimed before the zygote is warm, so that the lab sees that a worker computes it.
            # A machine that is slow to load torch says nothing about the question.
            release = partial(self._release, *ours)
            if not self._hold(self._zygote.await_warm, *ours, max_seconds=MAX_SECONDS, too_late=release):
                return
            started = time.monotonic()
            process = self._start(folder, question)
            try:
                late = partial(self._refuse, question, MAX_SECONDS, f"it took longer than {MAX_SECONDS:g} s")
                finished = self._hold(process.wait, *ours, max_seconds=MAX_SECONDS, too_late=late)
            finally:
                process.kill()
            if not finished:
                return
            if trouble := trouble_of(process.end):
                self._hand_on(*ours, trouble)
            else:
                self._read(folder, question, time.monotonic() - started)
        finally:
            rmtree(folder, ignore_errors=True)

    def _start(self, folder: Path, question: Any) -> JobProcess:
        folder.mkdir(parents=True)
        RunOrder(
            experiment=SLUG,
            spec={
                "workload": question.workload,
                "gpus": list(unanswered(question).values()),
                "editable": question.editable,
            },
            datasets_folder=self._settings.datasets_folder,
            cache_folder=self._settings.cache_folder,
        ).write(folder)
        return self._zygote.start(folder, "")

    def _read(self, folder: Path, question: Any, seconds: float) -> None:
        """What the process left is the answer."""
        match RecordReader(folder).ending():
            case Succeeded(value=found):
                fits = dict(zip(unanswered(question), found["gpus"], strict=True))
                given = {"prediction": found["prediction"], "fits": question.fits | fits}
                self._conclude(question, estimates.answer, "estimate.answered", seconds, given)
            case Failed(message=message):
                self._refuse(question, seconds, message)
            case Disturbed(message=message):
                self._hand_on(question.id, question.token, message)
            case _:
                # Killed from outside. The claim runs out, and the attempt counts.
                log.warning("estimate.lost", estimate_id=str(question.id))
