"""Puts a node's worker together: Celery listens on the node's queue, and each message becomes a supervised attempt."""

import fcntl
from functools import partial
from pathlib import Path
from typing import Any, TextIO
from uuid import UUID

import structlog
from celery import Celery, Task
from celery.signals import worker_ready, worker_shutting_down
from obstore.exceptions import BaseError as StoreError

from emulator.loading import real_driver
from gpulab.threads import VitalThread, vital
from models.database import DATABASE_AWAY, SILENT_SECONDS, first_line, sync_engine
from models.doorbell import ESTIMATE_TASK, RETAIN_TASK, RUN_TASK, celery_app, queue_of
from models.lab_process import RefusedError
from models.outage import await_database, persist, refuse_shared_sessions
from models.settings import NodeSettings
from models.store import open_store
from server.folder_trouble import try_to_write
from worker.agent import Agent
from worker.estimator import Estimator
from worker.measuring.gpu_overhead import GpuConstants
from worker.measuring.nvml import Nvml
from worker.measuring.sampler import Sampler
from worker.programs.estimator import ProgramEstimator
from worker.retention import Retention
from worker.runs.orphans import end_orphans
from worker.runs.supervisor import Supervisor
from worker.runs.zygote import Zygote

THREADS_PER_GPU = 16
"""Attempts that may share one GPU; a thread of the pool is made when it is first needed."""
THREADS_FOR_MESSAGES = 1
"""Beyond those that jobs may hold, so that a full node still receives other messages."""

log = structlog.get_logger()


class NodeTakenError(RefusedError):
    """Another worker serves this node's folder."""


class Worker:
    """Everything of one node. `run` blocks until SIGTERM or SIGINT and the end of the attempts; returns a status.

    Raises `NodeTakenError` when it is made, and `NodeRefusedError` when it runs.
    """

    def __init__(self, settings: NodeSettings) -> None:
        self._settings = settings
        for folder in (settings.runs_folder, settings.cache_folder):
            _make_folder(folder)
        self._lock = _lock_folder(settings.runs_folder)
        self._nvml = Nvml.open()
        self._gpus = self._nvml.gpus() if isinstance(self._nvml, Nvml) else []
        self._threads = settings.slots + THREADS_PER_GPU * len(self._gpus)
        self._sampler = Sampler(self._nvml, hz=settings.sample_hz)
        self._engine = engine = sync_engine(settings.sqlalchemy_url, silent_seconds=SILENT_SECONDS)
        store = persist(lambda: open_store(settings.artifacts_url), event="store.away", away=(OSError,))
        # Where there is a real GPU its jobs must see it, and predictions must not.
        has_driver = real_driver() is not None
        self._zygote = Zygote(settings.runs_folder, predicts=not has_driver)
        self._predictor = Zygote(settings.runs_folder, predicts=True) if has_driver else self._zygote
        self._constants = GpuConstants(settings, engine, self._nvml, self._zygote)
        self._supervisor = Supervisor(settings, engine, store, self._zygote, self._sampler, self._constants)
        self._estimator = Estimator(settings, engine, self._predictor)
        self._program_estimator = ProgramEstimator(
            settings,
            engine,
            store,
            self._supervisor.launcher.sandbox,
            self._sampler,
            self._supervisor.launcher.memory_bytes,
        )
        self._retention = Retention(settings, engine, store)
        self._agent = Agent(settings, engine, self._supervisor, self._nvml, self._sampler, self._constants)

    def run(self) -> int:
        persist(lambda: refuse_shared_sessions(self._settings.libpq_url))
        await_database(self._engine)
        persist(self._agent.check_token)
        # Before anything is ended or taken up: what runs under the name may be another machine's.
        persist(self._agent.admit)
        self._agent.watch_folders()
        end_orphans(self._settings.runs_folder)
        self._zygote.warm()
        self._predictor.warm()
        persist(self._agent.clear_up)
        persist(self._estimator.clear_up)
        persist(self._constants.settle)
        app = celery_app(self._settings.redis_url)
        _register(app, self._supervisor, (self._estimator, self._program_estimator), self._retention)
        worker_ready.connect(self._ready, weak=False)
        worker_shutting_down.connect(self._leave, weak=False)
        worker = app.Worker(
            hostname=f"gpulab@{self._settings.node}",
            queues=[queue_of(self._settings.node)],
            pool_cls="threads",
            concurrency=self._threads + THREADS_FOR_MESSAGES,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            loglevel="WARNING",
            optimization="fair",
        )
        worker.start()
        self._supervisor.launcher.stop()
        self._agent.stop()
        self._sampler.stop()
        status: int = worker.exitcode or 0
        return status

    # Celery swallows what the handlers of its signals raise: without `vital`, a worker would live on and do nothing.

    def _ready(self, **_: Any) -> None:
        with vital("the worker's start"):
            self._sampler.start()
            persist(self._agent.join)
            self._agent.start()
            self._supervisor.launcher.keep_spare([gpu.uuid for gpu in self._gpus])
            log.info("worker.ready", node=self._settings.node, threads=self._threads)

    def _leave(self, **_: Any) -> None:
        log.info("worker.leaving")
        for part in (self._agent, self._estimator, self._program_estimator, self._supervisor):
            with vital("the worker's end"):
                part.leave()


def _register(
    app: Celery, supervisor: Supervisor, estimators: tuple[Estimator, ProgramEstimator], retention: Retention
) -> None:
    of_catalogue, of_programs = estimators

    @app.task(name=RUN_TASK, bind=True)  # type: ignore[untyped-decorator]
    def run_job(_task: Task, job_id: str, lease_token: str) -> None:
        try:
            supervisor.run(UUID(job_id), UUID(lease_token))
        except DATABASE_AWAY as error:
            # The lease knows: an unclaimed one is rung again, a claimed one expires or is found in its directory.
            log.warning("task.database_away", job_id=job_id, reason=first_line(error))
        except Exception:
            log.exception("task.failed", job_id=job_id)

    @app.task(name=ESTIMATE_TASK, bind=True)  # type: ignore[untyped-decorator]
    def estimate(_task: Task, estimate_id: str, is_program: bool = False) -> None:
        # Handed on at once: the threads of the pool belong to jobs.
        (of_programs if is_program else of_catalogue).offer(UUID(estimate_id))

    @app.task(name=RETAIN_TASK, bind=True)  # type: ignore[untyped-decorator]
    def retain(_task: Task, only_deleted: bool) -> None:
        VitalThread("retention", partial(_sweep, retention, only_deleted=only_deleted)).start()


def _sweep(retention: Retention, *, only_deleted: bool) -> None:
    try:
        log.info("retention.swept", **retention.sweep(only_deleted=only_deleted))
    except (*DATABASE_AWAY, StoreError, OSError) as error:
        # What is left is deleted the next time.
        log.warning("retention.stopped", reason=first_line(error))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try_to_write(folder)
    except OSError as error:
        raise RefusedError(f"{folder} cannot be written: {error.strerror}") from error


def _lock_folder(folder: Path) -> TextIO:
    """Hold the node's folder for as long as this process lives."""
    file = (folder / ".lock").open("w", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise NodeTakenError(f"another worker serves {folder}") from None
    return file
