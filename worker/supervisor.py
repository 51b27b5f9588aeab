"""Supervises one attempt of a job from claim to verdict. Whatever dies inside the job, this writes what happened.

One thread of the Celery pool runs `Supervisor.run`: a short transaction to claim, then a loop that ships records and
watches the clock and the orders with no session open, then a short transaction for the verdict.
"""

import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from shutil import rmtree
from threading import Event
from typing import Any
from uuid import UUID

import structlog
from obstore.exceptions import BaseError as StoreError
from obstore.store import ObjectStore
from sqlalchemy import Engine

from experiments.contract import SPEC_FILE
from gpulab.states import FailureCause, JobState
from models.database import DATABASE_AWAY, first_line
from models.settings import NodeSettings
from models.statements import estimates, leases, remarks
from worker import advice
from worker.attempt import Attempt, Claimed, Order
from worker.constants import GpuConstants
from worker.idle import IdleWatch, Verdict
from worker.resume import bring_back
from worker.sampler import Breach, Sampler, Watched
from worker.shipper import NOTHING, LeaseGoneError, Offsets, Shipper, last_record
from worker.zygote import JobProcess, Zygote

RETRY_SECONDS = 1.0
AWAY = (*DATABASE_AWAY, StoreError)
"""The database or the object store can't be reached now; what was to be written is safe in the directory."""
CRASHES = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP}

log = structlog.get_logger()


class LeftForLaterError(Exception):
    """The worker leaves while the database is away; the directory holds what the next worker needs."""


class Supervisor:
    """Runs attempts on one node. `attempts` holds the live ones by token."""

    def __init__(
        self,
        settings: NodeSettings,
        engine: Engine,
        store: ObjectStore,
        zygote: Zygote,
        sampler: Sampler,
        constants: GpuConstants,
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._store = store
        self._zygote = zygote
        self._sampler = sampler
        self._constants = constants
        self._actor = f"node:{settings.node}"
        self._leaving = Event()
        self.attempts: dict[UUID, Attempt] = {}

    def leave(self) -> None:
        """Stop every attempt so that another follows, and take no new one."""
        self._leaving.set()
        for attempt in list(self.attempts.values()):
            attempt.order(Order.LEAVE)

    def run(self, job_id: UUID, token: UUID) -> None:
        """Claim the lease and see the attempt through; a lease that is gone or taken is left quietly."""
        if self._leaving.is_set():
            return
        with structlog.contextvars.bound_contextvars(job_id=str(job_id), node=self._settings.node):
            claimed = self._claim(job_id, token)
            if claimed is None:
                log.info("lease.not_claimed")
                return
            with structlog.contextvars.bound_contextvars(attempt=claimed.attempt):
                self._see_through(claimed)

    def recover(self, job_id: UUID, token: UUID, attempt: int) -> None:
        """Ship what a killed worker left in a run directory, and give the verdict it could not give."""
        folder = run_folder(self._settings.runs_folder, job_id, attempt)
        with structlog.contextvars.bound_contextvars(job_id=str(job_id), attempt=attempt, node=self._settings.node):
            shipper = self._shipper(folder, token, job_id, attempt)
            try:
                while shipper.turn():
                    pass
                log.info("leftover.shipped")
                self._conclude(token, folder, None, order=None)
            except LeaseGoneError:
                log.info("leftover.void")
                self._take_back(shipper)
            rmtree(folder, ignore_errors=True)

    def _claim(self, job_id: UUID, token: UUID) -> Claimed | None:
        statement = leases.claim(job_id, token, actor=self._actor, lease_seconds=self._settings.lease_seconds)
        with self._engine.begin() as connection:
            row = connection.execute(*statement).mappings().first()
        if row is None:
            return None
        if row["cancel_requested_at"] is not None:
            self._finish(token, JobState.CANCELLED, message="cancelled before it started")
            return None
        names = ("attempt", "experiment", "spec", "seed", "device", "time_limit_seconds", "gpu_uuids", "reserved_bytes")
        return Claimed(job_id=job_id, token=token, **{name: row[name] for name in names})

    def _see_through(self, claimed: Claimed) -> None:
        folder = run_folder(self._settings.runs_folder, claimed.job_id, claimed.attempt)
        attempt = Attempt(claimed, folder)
        shipper = self._shipper(folder, claimed.token, claimed.job_id, claimed.attempt, shipped=NOTHING)
        self.attempts[claimed.token] = attempt
        if self._leaving.is_set():
            attempt.order(Order.LEAVE)
        try:
            self._prepare(claimed, folder)
            process = self._zygote.start(folder, ",".join(claimed.gpu_uuids))
            log.info("job.started", pid=process.pid)
            self._watch(attempt, process)
            try:
                self._follow(attempt, process, shipper)
            finally:
                self._sampler.unwatch(str(claimed.job_id))
                process.kill()
            self._ship_rest(attempt, shipper)
            self._conclude(claimed.token, folder, process.exit_status, order=attempt.strongest)
        except LeftForLaterError:
            log.warning("verdict.left_for_the_next_worker")
            return
        except LeaseGoneError:
            log.warning("lease.gone")
            self._take_back(shipper)
        except Exception:
            # Without a heartbeat from here on the lease expires, and another attempt follows.
            rmtree(folder, ignore_errors=True)
            raise
        finally:
            del self.attempts[claimed.token]
        rmtree(folder, ignore_errors=True)

    def _prepare(self, claimed: Claimed, folder: Path) -> None:
        """Write the order and bring back the checkpoint of the attempt before."""
        rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if claimed.attempt > 1:
            bring_back(self._engine, self._store, folder, claimed.token, claimed.job_id)
        order = {
            "job_id": str(claimed.job_id),
            "attempt": claimed.attempt,
            "experiment": claimed.experiment,
            "spec": claimed.spec,
            "seed": claimed.seed,
            "device": claimed.device,
            "threads": self._settings.threads_per_job or max(1, (os.cpu_count() or 1) // max(1, self._settings.slots)),
            "datasets_folder": str(self._settings.datasets_folder),
            "cache_folder": str(self._settings.cache_folder),
            "gpu_memory_bytes": claimed.reserved_bytes,
            "gpu_constants": self._constants.of(claimed.gpu_uuids[0]).row()["constants"] if claimed.gpu_uuids else None,
        }
        (folder / SPEC_FILE).write_text(json.dumps(order), encoding="utf-8")

    def _watch(self, attempt: Attempt, process: JobProcess) -> None:
        def breached(breach: Breach) -> None:
            log.warning("reservation.broken", gpu=breach.gpu_uuid, used_bytes=breach.process_used_bytes)
            attempt.breach = breach
            attempt.order(Order.BREACH)

        claimed = attempt.claimed
        self._sampler.watch(
            Watched(
                job_id=str(claimed.job_id),
                folder=attempt.folder,
                pid=process.pid,
                gpu_uuids=tuple(claimed.gpu_uuids),
                reserved_bytes=claimed.reserved_bytes,
                on_breach=breached,
            )
        )

    def _follow(self, attempt: Attempt, process: JobProcess, shipper: Shipper) -> None:
        """Until the process ends: ship, enforce the clock, pass orders on."""
        deadline = time.monotonic() + attempt.claimed.time_limit_seconds
        idle = IdleWatch(percent=self._settings.idle_percent, seconds=self._settings.idle_minutes * 60)
        kill_at: float | None = None
        ship_at = 0.0
        while not process.wait(self._settings.ship_seconds):
            now = time.monotonic()
            if now >= deadline:
                attempt.order(Order.TIME_LIMIT)
            self._look_for_idleness(attempt, idle, now)
            order = attempt.strongest
            if order is Order.REVOKED:
                raise LeaseGoneError
            if order is not None and kill_at is None:
                log.info("job.stopping", order=order)
                process.stop()
                kill_at = now + self._settings.stop_grace_seconds
            if kill_at is not None and now >= kill_at:
                process.kill()
            if now >= ship_at:
                ship_at = now + self._ship(shipper)

    def _look_for_idleness(self, attempt: Attempt, idle: IdleWatch, now: float) -> None:
        readings = self._sampler.latest()
        gpus = attempt.claimed.gpu_uuids
        seen = [reading.utilization_percent if (reading := readings.get(uuid)) else None for uuid in gpus]
        match idle.look(now, seen):
            case Verdict.NOTICE:
                half = self._settings.idle_minutes / 2
                words = f"its GPUs were unused for {half:g} minutes; it ends if they stay so for as long again"
                self._warn(attempt.claimed.token, "job.idle", words)
            case Verdict.END:
                attempt.order(Order.IDLE)
            case Verdict.NOTHING:
                pass

    def _warn(self, token: UUID, event: str, message: str) -> None:
        try:
            with self._engine.begin() as connection:
                connection.execute(remarks.warn(token, event=event, actor=self._actor, message=message))
        except DATABASE_AWAY as error:
            log.warning("warning.not_written", reason=first_line(error))

    def _ship(self, shipper: Shipper) -> float:
        """Ship once; returns how long to leave the database alone."""
        try:
            shipper.turn()
        except AWAY as error:
            log.warning("shipper.waits", reason=first_line(error))
            return RETRY_SECONDS
        return 0.0

    def _take_back(self, shipper: Shipper) -> None:
        try:
            shipper.take_back()
        except AWAY as error:
            log.warning("uploads.left_behind", reason=first_line(error))

    def _ship_rest(self, attempt: Attempt, shipper: Shipper) -> None:
        def rest() -> None:
            while shipper.turn():
                pass

        self._persist(rest, attempt)

    def _conclude(self, token: UUID, folder: Path, exit_status: int | None, *, order: Order | None) -> None:
        """The verdict, from the last record, the exit status and the order that was given."""
        last = last_record(folder) or {}
        kind = last.get("type")
        attempt = self.attempts.get(token)

        def conclude() -> None:
            if kind == "result":
                self._finish(token, JobState.SUCCEEDED, result=last["value"])
            elif order is Order.CANCEL:
                self._finish(token, JobState.CANCELLED, message="cancelled")
            elif order is Order.TIME_LIMIT:
                self._fail(token, FailureCause.TIME_LIMIT, "it reached its time limit and was stopped")
            elif order is Order.IDLE:
                minutes = self._settings.idle_minutes
                self._fail(token, FailureCause.IDLE, f"it left its GPUs unused for {minutes:g} minutes and was stopped")
            elif attempt is not None and attempt.breach is not None:
                self._fail_outgrown(token, attempt.breach, folder)
            elif kind == "error":
                self._fail_or_try_alone(token, last)
            elif order is Order.LEAVE:
                self._execute(leases.requeue(token, actor=self._actor, message="the worker is leaving"))
            elif order is Order.YIELD:
                self._execute(leases.requeue(token, actor=self._actor, message="it gave way to a more urgent job"))
            elif exit_status is not None and -exit_status in CRASHES:
                name = signal.Signals(-exit_status).name
                self._fail(token, FailureCause.ERROR, f"the process crashed with {name}; see the log")
            elif exit_status is not None and exit_status > 0:
                self._fail(token, FailureCause.ERROR, f"the process ended with status {exit_status}; see the log")
            else:
                self._lose(token, exit_status)

        self._persist(conclude, attempt)

    def _persist(self, action: Callable[[], None], attempt: Attempt | None) -> None:
        """Do it until the database takes it. What a leaving worker can't write, the next one finds in the directory."""
        while True:
            try:
                action()
                return
            except AWAY as error:
                log.warning("verdict.waits", reason=first_line(error))
                if self._leaving.wait(RETRY_SECONDS):
                    raise LeftForLaterError from error
                if attempt is not None and attempt.strongest is Order.REVOKED:
                    raise LeaseGoneError from error

    def _finish(self, token: UUID, state: JobState, *, message: str = "", result: dict[str, Any] | None = None) -> None:
        attempt = self.attempts.get(token)
        measured = state is JobState.SUCCEEDED and (attempt is None or bool(attempt.claimed.gpu_uuids))
        verdict = leases.finish(token, state, actor=self._actor, message=message, result=result)
        self._execute(*verdict, measured=measured)

    def _fail(self, token: UUID, cause: FailureCause, message: str, failure: dict[str, Any] | None = None) -> None:
        with self._engine.begin() as connection:
            estimate_id: UUID | None = None
            if failure is not None:
                failure, estimate_id = advice.seek(connection, token, failure)
            statement = leases.finish(
                token, JobState.FAILED, actor=self._actor, message=message, cause=cause, failure=failure
            )
            row = connection.execute(*statement).mappings().first()
            if row is None:
                # What was asked for the job is another's to ask again.
                raise LeaseGoneError
            if estimate_id is not None:
                advice.attach(connection, estimate_id, actor=self._actor)
        log.info("job.concluded", state=row["state"], attempt=row["attempt"])

    def _fail_outgrown(self, token: UUID, breach: Breach, folder: Path) -> None:
        held, reserved = (f"{size / 2**30:.2f} GiB" for size in (breach.process_used_bytes, breach.reserved_bytes))
        failure = advice.of_breach(breach, folder).model_dump(mode="json")
        words = f"it held {held} of GPU memory and had reserved {reserved}: the lab ended it for its neighbours' sake"
        self._fail(token, FailureCause.OUT_OF_MEMORY, words, failure)

    def _fail_or_try_alone(self, token: UUID, last: dict[str, Any]) -> None:
        """A job that ran out of memory within its reservation suffered from its neighbours: once more, alone."""
        failure = last.get("failure") or {}
        if failure.get("inside_reservation"):
            words = f"{last['message']}; it kept to its reservation and runs again, alone on a GPU"
            self._execute(leases.requeue(token, actor=self._actor, message=words, alone=True))
        else:
            self._fail(token, FailureCause(last["cause"]), last["message"], failure or None)

    def _lose(self, token: UUID, exit_status: int | None) -> None:
        how = "its worker was killed" if exit_status is None else f"its process was ended from outside ({exit_status})"
        statement = leases.lose(
            leases.of_token(token),
            max_lost_attempts=self._settings.max_lost_attempts,
            actor=self._actor,
            message=how,
        )
        self._execute(statement)

    def _execute(self, statement: Any, values: Mapping[str, Any] | None = None, *, measured: bool = False) -> None:
        """Give a verdict; with `measured`, what the run took on its GPU is kept beside what was predicted."""
        with self._engine.begin() as connection:
            row = connection.execute(statement, values).mappings().first()
            if row is not None and measured:
                connection.execute(estimates.measure(row["id"]))
        if row is None:
            raise LeaseGoneError
        log.info("job.concluded", state=row["state"], attempt=row["attempt"])

    def _shipper(
        self, folder: Path, token: UUID, job_id: UUID, attempt: int, *, shipped: Offsets | None = None
    ) -> Shipper:
        return Shipper(
            self._engine,
            self._store,
            folder,
            token,
            job_id,
            attempt,
            actor=self._actor,
            log_limit_bytes=self._settings.log_limit_bytes,
            max_artifact_bytes=self._settings.max_artifact_bytes,
            shipped=shipped,
        )


def run_folder(runs: Path, job_id: UUID, attempt: int) -> Path:
    """Where an attempt lives while it runs."""
    return runs / f"{job_id}-{attempt}"
