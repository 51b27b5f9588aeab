"""Supervises one attempt of a job from claim to verdict. Whatever dies inside the job, this writes what happened.

One thread of the Celery pool runs `Supervisor.run`: a short transaction to claim, then a loop that ships records and
watches the clock and the orders with no session open, then a short transaction for the verdict.
"""

import time
from collections.abc import Callable, Sequence
from threading import Event
from typing import Any
from uuid import UUID

import structlog
from obstore.exceptions import BaseError as StoreError
from obstore.store import ObjectStore
from sqlalchemy import Engine

from experiments.hosting.record_reader import RecordReader
from experiments.hosting.wire import Disturbed, Ending, Succeeded
from gpulab.states import FailureCause, JobState
from models.composed import run
from models.database import DATABASE_AWAY, first_line
from models.settings import NodeSettings
from models.statements import job_events, leases
from worker.measuring import idle
from worker.measuring.gpu_overhead import GpuConstants
from worker.measuring.host_memory import HostBreach, oom_kills
from worker.measuring.sampler import Breach, Sampler, Watched
from worker.programs.cache import ProgramError
from worker.programs.process import ProgramProcess
from worker.programs.records import distrust, own_ending
from worker.programs.watch import ProgramBreach, ProgramLimits, ProgramWatch
from worker.runs.attempt import Attempt, Claimed, StopReason
from worker.runs.conclusion import Conclusion
from worker.runs.folder import RunFolder, found_folder, run_folder
from worker.runs.launching import Launcher, is_sandboxed
from worker.runs.outgrowing import outgrown
from worker.runs.verdict import Finish, Lose, Requeue, Verdict, judge
from worker.runs.zygote import End, JobProcess, NotStartedError, Zygote
from worker.shipping.shipper import NOTHING, LeaseGoneError, Offsets, Shipper

RETRY_SECONDS = 1.0
AWAY = (*DATABASE_AWAY, StoreError)
"""The database or the object store can't be reached now; what was to be written is safe in the directory."""
KILL_SECONDS = 5.0
"""A process that was killed is gone in milliseconds, unless it hangs in the kernel."""
START_SECONDS = 60.0
"""How long a node tries to start a process before it gives the job back."""

log = structlog.get_logger()


class LeftForLaterError(Exception):
    """The worker leaves while the database is away; the directory holds what the next worker needs."""


class Supervisor:
    """Runs attempts on one node. `attempts` holds the live ones by the token of their lease."""

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
        self._actor = f"node:{settings.node}"
        self._conclusion = Conclusion(settings, engine)
        self.launcher = Launcher(settings, engine, store, zygote, constants, sampler)
        self._programs = ProgramWatch(ProgramLimits.of(settings))
        self._leaving = Event()
        self.attempts: dict[UUID, Attempt] = {}

    def leave(self) -> None:
        """Stop every attempt so that another follows, and take no new one."""
        self._leaving.set()
        for attempt in list(self.attempts.values()):
            attempt.stop(StopReason.LEAVE)

    def run(self, job_id: UUID, lease_token: UUID) -> None:
        """Claim the lease and see the attempt through; a lease that is gone or taken is left quietly."""
        if self._leaving.is_set():
            return
        with structlog.contextvars.bound_contextvars(job_id=str(job_id), node=self._settings.node):
            claimed = self._claim(job_id, lease_token)
            if claimed is None:
                log.info("lease.not_claimed")
                return
            with structlog.contextvars.bound_contextvars(attempt=claimed.attempt):
                self._see_through(claimed)

    def recover(self, job_id: UUID, lease_token: UUID, attempt: int) -> None:
        """Ship what a killed worker left in a run directory, and give the verdict it could not give."""
        folder = found_folder(run_folder(self._settings.runs_folder, job_id, attempt).path)
        with structlog.contextvars.bound_contextvars(job_id=str(job_id), attempt=attempt, node=self._settings.node):
            shipper = self._shipper(folder, lease_token, job_id, attempt)
            try:
                ship_all(shipper)
                log.info("leftover.shipped", files_lost=shipper.waiting)
                verdict = judge(self._ending(folder, None), None, files_lost=self._files_lost(lease_token, shipper))
                self._persist(lambda: self._conclusion.write(lease_token, verdict))
            except LeaseGoneError:
                log.info("leftover.void")
                self._sweep_uploads(shipper)
            except AWAY:
                raise
            except Exception as error:
                # One directory that cannot be dealt with must not keep the node from starting.
                log.exception("leftover.failed")
                self._give_up(lease_token, error)
            folder.remove()

    def _claim(self, job_id: UUID, lease_token: UUID) -> Claimed | None:
        lease: dict[str, Any] = {"job_id": job_id, "lease_token": lease_token}
        ours: dict[str, Any] = {"actor": self._actor, "lease_seconds": self._settings.lease_seconds}
        with self._engine.begin() as connection:
            row = run(connection, leases.claim, **lease, **ours).mappings().first()
        if row is None:
            return None
        if row["cancel_requested_at"] is not None:
            self._conclusion.write(lease_token, Finish(JobState.CANCELLED, "cancelled before it started"))
            return None
        names = ("attempt", "experiment", "spec", "seed", "device", "time_limit_seconds", "gpu_uuids", "reserved_bytes")
        return Claimed(job_id=job_id, lease_token=lease_token, **{name: row[name] for name in names})

    def _see_through(self, claimed: Claimed) -> None:
        sandboxed = is_sandboxed(claimed.experiment)
        runs = self._settings.runs_folder
        folder = run_folder(runs, claimed.job_id, claimed.attempt, is_sandboxed=sandboxed)
        attempt = Attempt(claimed, folder)
        shipper = self._shipper(folder, claimed.lease_token, claimed.job_id, claimed.attempt, shipped=NOTHING)
        self.attempts[claimed.lease_token] = attempt
        if self._leaving.is_set():
            attempt.stop(StopReason.LEAVE)
        try:
            verdict = self._carried_out(attempt, shipper)
            measured = bool(claimed.gpu_uuids)
            self._persist(lambda: self._conclusion.write(claimed.lease_token, verdict, measured=measured), attempt)
        except LeftForLaterError:
            log.warning("verdict.left_for_the_next_worker")
            return
        except LeaseGoneError:
            log.warning("lease.gone")
            self._sweep_uploads(shipper)
        except Exception as error:
            log.exception("attempt.failed")
            self._give_up(claimed.lease_token, error)
        finally:
            del self.attempts[claimed.lease_token]
        folder.remove()

    def _carried_out(self, attempt: Attempt, shipper: Shipper) -> Verdict:
        """Run it, and ship what it leaves."""
        kills = oom_kills()
        try:
            process = self._started(attempt)
        except ProgramError as error:
            return Finish(JobState.FAILED, str(error), FailureCause.ERROR)
        if process is None:
            return judge(None, None, attempt.stop_reason) if attempt.stop_reason else Requeue(attempt.trouble)
        log.info("job.started", pid=process.pid)
        try:
            self._watch(attempt, process)
            self._follow(attempt, process, shipper)
        finally:
            self._sampler.unwatch(str(attempt.claimed.job_id))
            self._programs.unwatch(process.pid)
            process.kill()
            process.wait(KILL_SECONDS)
        end = process.end
        attempt.breach = attempt.breach or self._by_kernel(process)
        if end is not None and end.status is None:
            self._zygote.warm()
        self._persist(lambda: ship_all(shipper), attempt)
        self._await_store(attempt, shipper)
        ending = self._ending(attempt.folder, end)
        return judge(
            ending,
            end,
            attempt.stop_reason,
            outgrown=outgrown(attempt),
            out_of_host_memory=oom_kills() > kills,
            gpu_fault=self._gpu_fault(attempt.claimed.gpu_uuids, None if attempt.folder.is_sandboxed else ending),
            had_neighbours=attempt.claimed.reserved_bytes is not None,
            is_contained=attempt.folder.is_sandboxed,
            idle_minutes=self._settings.idle_minutes,
            files_lost=self._files_lost(attempt.claimed.lease_token, shipper),
        )

    def _by_kernel(self, process: JobProcess | ProgramProcess) -> HostBreach | None:
        """A program that the kernel ended, faster than we looked."""
        limit_bytes = self.launcher.memory_bytes
        if not isinstance(process, ProgramProcess) or limit_bytes is None or process.outgrown_bytes is None:
            return None
        return HostBreach(process.outgrown_bytes, limit_bytes)

    def _ending(self, folder: RunFolder, end: End | None) -> Ending | None:
        """How the run said that it ended. A program can write any record itself: its result counts where its host,
        which writes it last, then ended well.
        """
        if not folder.is_sandboxed:
            return RecordReader(folder.written_by_run).ending()
        ending = RecordReader(folder.written_by_run, distrust(self._settings.program_records_bytes)).ending()
        failed_later = isinstance(ending, Succeeded) and end is not None and end.status != 0
        return None if failed_later else own_ending(ending)

    def _gpu_fault(self, gpu_uuids: Sequence[str], ending: Ending | None) -> str:
        """What is wrong with GPUs that the job had, in words. The lab learns it before the verdict."""
        faults = self._sampler.gpu_faults(gpu_uuids)
        if isinstance(ending, Disturbed) and ending.gpus_unusable:
            faults = dict.fromkeys(gpu_uuids, f"no program can use it: {ending.message}") | faults
        self._conclusion.note_gpu_faults(faults)
        return "; ".join(f"GPU {uuid} failed: {fault}" for uuid, fault in faults.items())

    def _await_store(self, attempt: Attempt, shipper: Shipper) -> None:
        """The run is over, and its files wait for the store: until the patience ends or the job is cancelled.

        After a run that used up its time limit the store is tried once more.
        """
        until = max(attempt.deadline, shipper.retry_at + RETRY_SECONDS)
        deadline = min(until, time.monotonic() + self._settings.store_patience_seconds)
        while shipper.waiting and not attempt.is_asked(StopReason.CANCEL) and time.monotonic() < deadline:
            if attempt.stop_reason is StopReason.REVOKED:
                # Without the store the shipper does not ask the database, which would say so.
                raise LeaseGoneError
            if self._leaving.wait(RETRY_SECONDS):
                raise LeftForLaterError
            self._persist(lambda: ship_all(shipper), attempt)

    def _files_lost(self, lease_token: UUID, shipper: Shipper) -> str:
        """What the store never took, in words; empty where it took everything."""
        if not shipper.waiting:
            return ""
        words = f"{', '.join(shipper.waiting)}: not kept, because the store did not accept it: {shipper.trouble}"
        self._warn(lease_token, "job.files_lost", words)
        return words

    def _give_up(self, lease_token: UUID, error: Exception) -> None:
        """A fault of ours: the attempt is lost at once, and not when its lease expires."""
        try:
            self._conclusion.write(lease_token, Lose(f"its worker failed: {type(error).__name__}: {first_line(error)}"))
        except (LeaseGoneError, *AWAY) as why:
            # Without a heartbeat from here on the lease expires, and another attempt follows.
            log.warning("lease.left_to_expire", reason=first_line(why))

    def _started(self, attempt: Attempt) -> JobProcess | ProgramProcess | None:
        """Its process. What the machine refuses now it may give in a moment; null where it was stopped meanwhile, or
        refused it for too long, and then nothing of it ran. Raises `ProgramError`: it can run nowhere.
        """
        deadline = time.monotonic() + START_SECONDS
        while attempt.stop_reason is None:
            try:
                return self.launcher.start(attempt.claimed, attempt.folder)
            except (NotStartedError, OSError, *AWAY) as error:
                words = f"its process could not be started: {first_line(error)}"
                if words != attempt.trouble:
                    self._warn(attempt.claimed.lease_token, "job.not_started", f"{words}; the node tries again")
                    attempt.trouble = words
            if time.monotonic() > deadline:
                return None
            self._leaving.wait(RETRY_SECONDS)
        if attempt.stop_reason is StopReason.REVOKED:
            raise LeaseGoneError
        return None

    def _watch(self, attempt: Attempt, process: JobProcess | ProgramProcess) -> None:
        def breached(breach: Breach) -> None:
            log.warning("reservation.broken", gpu=breach.gpu_uuid, used_bytes=breach.process_used_bytes)
            attempt.breach = breach
            attempt.stop(StopReason.BREACH)

        def ended_for(breach: HostBreach | ProgramBreach) -> None:
            log.warning("limit.exceeded", job_id=str(attempt.claimed.job_id), reason=str(breach))
            attempt.breach = attempt.breach or breach
            attempt.stop(StopReason.BREACH)
            # It would go on to take what the machine has left.
            process.kill()

        claimed = attempt.claimed
        if attempt.folder.is_sandboxed:
            self._programs.watch(process.pid, attempt.folder, ended_for)
        self._sampler.watch(
            Watched(
                job_id=str(claimed.job_id),
                folder=attempt.folder.path,
                pid=process.pid,
                gpu_uuids=tuple(claimed.gpu_uuids),
                reserved_bytes=claimed.reserved_bytes,
                on_breach=breached,
                host_limit_bytes=self.launcher.memory_bytes,
                on_host_breach=ended_for,
            )
        )

    def _follow(self, attempt: Attempt, process: JobProcess | ProgramProcess, shipper: Shipper) -> None:
        """Until the process ends: ship, enforce the clock, stop it where that is asked."""
        attempt.deadline = time.monotonic() + attempt.claimed.time_limit_seconds
        idleness = idle.IdleWatch(percent=self._settings.idle_percent, seconds=self._settings.idle_minutes * 60)
        kill_at: float | None = None
        ship_at = 0.0
        while not process.wait(self._settings.ship_seconds):
            now = time.monotonic()
            if now >= attempt.deadline:
                attempt.stop(StopReason.TIME_LIMIT)
            self._look_for_idleness(attempt, idleness, now)
            reason = attempt.stop_reason
            if reason is StopReason.REVOKED:
                raise LeaseGoneError
            if reason is not None and kill_at is None:
                log.info("job.stopping", reason=reason)
                process.stop()
                kill_at = now + self._settings.stop_grace_seconds
            if kill_at is not None and now >= kill_at:
                process.kill()
            if now >= ship_at:
                ship_at = now + self._ship(shipper)

    def _look_for_idleness(self, attempt: Attempt, idleness: idle.IdleWatch, now: float) -> None:
        readings = self._sampler.latest()
        gpus = attempt.claimed.gpu_uuids
        seen = [reading.utilization_percent if (reading := readings.get(uuid)) else None for uuid in gpus]
        match idleness.look(now, seen):
            case idle.Verdict.NOTICE:
                half = self._settings.idle_minutes / 2
                words = f"its GPUs were unused for {half:g} minutes; it ends if they stay unused for as long again"
                self._warn(attempt.claimed.lease_token, "job.idle", words)
            case idle.Verdict.END:
                attempt.stop(StopReason.IDLE)
            case idle.Verdict.NOTHING:
                pass

    def _warn(self, token: UUID, event: str, message: str) -> None:
        try:
            with self._engine.begin() as connection:
                run(connection, job_events.warn, lease_token=token, event=event, actor=self._actor, message=message)
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

    def _sweep_uploads(self, shipper: Shipper) -> None:
        try:
            shipper.sweep_uploads()
        except AWAY as error:
            log.warning("uploads.left_behind", reason=first_line(error))

    def _persist(self, action: Callable[[], None], attempt: Attempt | None = None) -> None:
        """Do it until the database takes it. What a leaving worker can't write, the next one finds in the directory."""
        while True:
            try:
                action()
                return
            except AWAY as error:
                log.warning("verdict.waits", reason=first_line(error))
                if self._leaving.wait(RETRY_SECONDS):
                    raise LeftForLaterError from error
                if attempt is not None and attempt.stop_reason is StopReason.REVOKED:
                    raise LeaseGoneError from error

    def _shipper(
        self, folder: RunFolder, lease_token: UUID, job_id: UUID, attempt: int, *, shipped: Offsets | None = None
    ) -> Shipper:
        return Shipper(
            self._engine,
            self._store,
            folder,
            lease_token,
            job_id,
            attempt,
            actor=self._actor,
            log_limit_bytes=self._settings.log_limit_bytes,
            max_artifact_bytes=self._settings.max_artifact_bytes,
            max_record_bytes=self._settings.program_records_bytes,
            max_files_bytes=self._settings.program_disk_bytes,
            shipped=shipped,
        )


def ship_all(shipper: Shipper) -> None:
    """Until nothing is left that can be shipped now."""
    while shipper.turn():
        pass
