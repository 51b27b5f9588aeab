"""The scheduler: one leader, any number on standby. Wakes on notices and on a tick, plans, leases, rings, rescues.

Leadership is a session-level advisory lock on the connection that also listens: who loses the connection loses both.
Two leaders at once would still do no harm, since every grant is a guarded UPDATE.
"""

import time
from collections.abc import Mapping, Sequence
from itertools import chain, islice
from threading import Event
from typing import Any
from uuid import UUID

import psycopg
import structlog
from celery import Celery
from kombu.exceptions import OperationalError as BrokerError
from sqlalchemy import Engine

from gpulab.states import FINAL_STATES, JobState
from models.channels import ESTIMATES, JOBS
from models.composed import run
from models.database import DATABASE_AWAY, first_line, listening_connection
from models.doorbell import celery_app, ring
from models.outage import Outage, refuse_shared_sessions
from models.settings import SchedulerSettings
from models.statements import job_events, leases, node_health, queue, usage
from models.statements.readiness import try_to_lead
from models.tables.estimate import ESTIMATE_STATES, PENDING
from scheduler.clock import ClockWatch
from scheduler.estimates import Estimates
from scheduler.inspection import inspect_nodes
from scheduler.planning.guests import leaving
from scheduler.planning.order import weight_of
from scheduler.planning.plan import plan
from scheduler.planning.preempt import giving_way
from scheduler.planning.terms import Placement, Plan, Policy
from scheduler.reading import Reader, Seen, policy_of, resumable
from scheduler.reservations import ESTIMATING
from scheduler.retention import Retention

REST_SHARE = 9.0
"""Pause after a look at the queue, as a multiple of how long it took. Then new submissions cause the next look."""
MAX_REST_SECONDS = 2.0
EXPLAINED_A_TICK = 5000
GRANTS_BATCH_SIZE = 16
"""Leases in one transaction: the first of many jobs should not wait for the last."""
MORE_TO_DO = frozenset({JobState.QUEUED, *ESTIMATE_STATES})
ASKS = frozenset({JobState.QUEUED, PENDING})
"""News that a question about memory may be behind: one of its own, or a job that brought it."""
ESTIMATED = 30
"""Number of waiting jobs, first in order, that get an estimated start."""

log = structlog.get_logger()


class Scheduler:
    """Runs until `stop` is set. `engine` is for short transactions; the leader's connection is its own."""

    def __init__(self, settings: SchedulerSettings, engine: Engine, stop: Event) -> None:
        self._settings = settings
        self._engine = engine
        self._stop = stop
        self._outage = Outage("scheduler.database_away")
        self._rung_since = time.monotonic()
        """Since when every bell could be rung, as far as this leader knows."""
        self._reader = Reader(settings)
        self._celery: Celery = celery_app(settings.redis_url)
        self._estimates = Estimates(settings, engine, self._celery)
        self._retention = Retention(settings, engine, self._celery)
        self._clock = ClockWatch()
        self._rescue_from = 0.0
        """Before it, no lease counts as abandoned."""

    def run(self) -> None:
        while not self._stop.is_set():
            try:
                with listening_connection(self._settings.libpq_url) as connection:
                    refuse_shared_sessions(self._settings.libpq_url)
                    if self._lead(connection):
                        log.info("scheduler.leading")
                        self._serve(connection)
            except DATABASE_AWAY as error:
                self._outage.goes_on(error)
            self._stop.wait(0.5)

    def _lead(self, connection: psycopg.Connection[Any]) -> bool:
        """Wait on standby until the leader's seat is free."""
        while not self._stop.is_set():
            if try_to_lead(connection):
                return True
            self._stop.wait(self._settings.tick_seconds)
        return False

    def _serve(self, connection: psycopg.Connection[Any]) -> None:
        self._wait_for_workers()
        self._end_future()
        connection.execute(f"LISTEN {JOBS}")
        connection.execute(f"LISTEN {ESTIMATES}")
        next_tick = time.monotonic()
        news: set[str] = set()
        while not self._stop.is_set():
            ticking = time.monotonic() >= next_tick
            if ticking:
                next_tick = time.monotonic() + self._settings.tick_seconds
                self.watch_clock()
                self.rescue()
                self.ring_again()
                self.inspect()
                self.keep_for_lab_hours()
            if ticking or news & ASKS:
                self._estimates.ring()
            self._retention.ring()
            looking_from = time.monotonic()
            self.schedule(explain=ticking)
            self._outage.over()
            now = time.monotonic()
            rest_until = now + min(REST_SHARE * (now - looking_from), MAX_REST_SECONDS)
            news = self._await_news(connection, rest_until, next_tick)

    def _await_news(self, connection: psycopg.Connection[Any], rest_until: float, deadline: float) -> set[str]:
        """Sleep until a job ends, until there is more to place and the rest is over, or until the deadline.

        Returns the states of jobs and estimates that it heard of.
        """
        wake_at = deadline
        heard: set[str] = set()
        while (left := wake_at - time.monotonic()) > 0 and not self._stop.is_set():
            # One look serves every notice that is already here, hence a list.
            notices = list(connection.notifies(timeout=min(left, 0.5), stop_after=1))
            news = {notice.payload.rpartition(" ")[2] for notice in notices}
            heard |= news
            if news & FINAL_STATES:
                break
            if news & MORE_TO_DO:
                wake_at = min(wake_at, rest_until)
        return heard

    def schedule(self, *, explain: bool) -> None:
        """Lease what can start now; with `explain`, write down why the others wait."""
        policy = policy_of(self._settings, estimates=ESTIMATED if explain else 0)
        with self._engine.begin() as connection:
            seen = self._reader.look(connection)
            if seen is None:
                return
            for job_id, message in seen.refused:
                run(connection, queue.refuse, job_id=job_id, message=message)
        made = plan(seen.jobs, seen.rooms, now=seen.now, policy=policy, lab_hours=seen.lab_hours)
        for first in range(0, len(made.placements), GRANTS_BATCH_SIZE):
            self._start(seen, made.placements[first : first + GRANTS_BATCH_SIZE])
        if self._settings.preemption:
            self._preempt(seen, made)
        if explain:
            self._explain(seen, made, policy)

    def _start(self, seen: Seen, placements: Sequence[Placement]) -> None:
        """Lease what was placed and ring its nodes."""
        sizes = {gpu.uuid: gpu.total_bytes or 0 for room in seen.rooms for gpu in room.gpus}
        with self._engine.begin() as connection:
            granted = [
                (placement, self._grant(connection, placement, sizes, seen.unpredicted.get(placement.job_id)))
                for placement in placements
            ]
        for placement, lease_token in granted:
            if lease_token is not None:
                self._ring(placement.node, placement.job_id, lease_token)

    def _preempt(self, seen: Seen, made: Plan) -> None:
        """Ask jobs to give way, where that lets a more urgent one start, or one during its lab hours."""
        running = resumable(seen.leases, seen.entitled)
        job, chosen = giving_way(made, running, seen.rooms, now=seen.now) or (None, [])
        asked = [(f"to give way to job {job and job.id}, whose priority is higher", each) for each in chosen]
        for theirs, guest in leaving(made, running, seen.rooms, now=seen.now):
            asked.append((f"to give way to job {theirs.id}, because this GPU is kept for its lab hours", guest))
        if not asked:
            return
        with self._engine.begin() as connection:
            for message, each in asked:
                if run(connection, job_events.ask_to_yield, lease_token=each.lease_token, message=message).first():
                    log.info("job.preempted", lease_token=str(each.lease_token), node=each.node, reason=message)

    def _explain(self, seen: Seen, made: Plan, policy: Policy) -> None:
        """Write down what changed; no more than `EXPLAINED_A_TICK`, to keep a tick short."""
        waits = chain(
            ((job.id, made.wait_of(job)) for job in made.waiting), ((row.id, ESTIMATING) for row in seen.estimating)
        )
        before = seen.wait_reasons
        news = ((job_id, wait.reason, wait.message) for job_id, wait in waits if before[job_id] != wait.reason)
        reasons = list(islice(news, EXPLAINED_A_TICK))
        shares = {user.id: (user.used_seconds, weight_of(user, policy)) for user in seen.users.values()}
        counted = dict(islice(seen.counted.items(), EXPLAINED_A_TICK))
        with self._engine.begin() as connection:
            if reasons:
                run(connection, queue.explain, reasons=reasons)
            if counted:
                run(connection, queue.count_bytes, counted=counted)
            run(connection, usage.keep_shares, shares=shares)
            if made.starts:
                run(connection, usage.estimated_starts, starts=made.starts, sites=made.sites)

    def watch_clock(self) -> None:
        """Nobody is to blame for time that the lab slept through, or that never passed."""
        with self._engine.begin() as connection:
            _, database = run(connection, usage.clock).one()
        jump = self._clock.look(database, time.clock_gettime(time.CLOCK_BOOTTIME))
        if jump is None:
            return
        self._wait_for_workers()
        if jump.set_by_seconds:
            log.warning("clock.set", reason=f"the clock of the database was set by {jump.set_by_seconds:+.0f} s")
            self._retention.hold_after(jump.set_by_seconds)
            self._end_future()
        else:
            log.info("scheduler.halted", seconds=round(jump.halted_seconds))

    def _wait_for_workers(self) -> None:
        """No worker could renew its leases; each gets the time of one before any counts as lost."""
        self._rung_since = time.monotonic()
        self._rescue_from = self._rung_since + self._settings.lease_seconds

    def _end_future(self) -> None:
        """What was written while the clock was ahead would hold until the clock is there again."""
        seconds = self._settings.lease_seconds
        with self._engine.begin() as connection:
            run(connection, leases.end_future, lease_seconds=seconds)
            run(connection, node_health.end_future_of_gpus)
            run(connection, node_health.end_future, quiet_seconds=self._settings.fault_quiet_seconds)

    def rescue(self) -> None:
        """Take away the leases of workers that were not heard of in time, and those that none took up."""
        if time.monotonic() < self._rescue_from:
            return
        with self._engine.begin() as connection:
            lost = run(
                connection,
                leases.lose_abandoned,
                max_lost_attempts=self._settings.max_lost_attempts,
                actor="scheduler",
                message="its worker sent no heartbeat in time",
            )
            for row in lost.mappings().all():
                log.warning("lease.expired", **_log_fields(row))
            rung_seconds = time.monotonic() - self._rung_since
            back = run(connection, leases.requeue_untaken, actor="scheduler", rung_seconds=rung_seconds)
            for row in back.mappings().all():
                log.info("lease.taken_back", **_log_fields(row))

    def ring_again(self) -> None:
        """A message may have been lost with Redis; the lease knows better."""
        with self._engine.begin() as connection:
            silent = run(connection, leases.silent, ring_again_seconds=self._settings.ring_again_seconds).all()
        for job_id, lease_token, node in silent:
            log.info("doorbell.again", job_id=str(job_id), node=node)
            self._ring(node, job_id, lease_token)

    def inspect(self) -> None:
        """Set nodes aside that cannot be trusted, and take back those that can be again."""
        with self._engine.begin() as connection:
            inspect_nodes(connection, self._settings)

    def keep_for_lab_hours(self) -> None:
        """Write down which GPUs are kept, for those who look at the lab's timeline."""
        with self._engine.begin() as connection:
            if kept := self._reader.kept_gpus(connection):
                run(connection, queue.keep_gpus, kept=kept)

    def _grant(
        self, connection: Any, placement: Placement, sizes: Mapping[str, int], unpredicted: str | None
    ) -> UUID | None:
        """Null where the job no longer waits. `sizes` are the GPUs' bytes."""
        whole = placement.gpu_uuids and unpredicted
        held = [
            sizes[uuid] if placement.reserved_bytes is None else placement.reserved_bytes
            for uuid in placement.gpu_uuids
        ]
        granted = run(
            connection,
            leases.grant,
            job_id=placement.job_id,
            node=placement.node,
            gpu_uuids=placement.gpu_uuids,
            reserved_bytes=placement.reserved_bytes,
            lease_seconds=self._settings.lease_seconds,
            held_bytes=sum(held) if held else None,
            share=placement.share,
            remark=f", with a whole GPU because its memory was not predicted: {unpredicted}" if whole else "",
        )
        row = granted.mappings().first()
        if row is None:
            return None
        log.info("job.leased", job_id=str(placement.job_id), node=placement.node, attempt=row["attempt"])
        lease_token: UUID = row["token"]
        return lease_token

    def _ring(self, node: str, job_id: UUID, lease_token: UUID) -> None:
        try:
            ring(
                self._celery,
                node=node,
                job_id=job_id,
                lease_token=lease_token,
                expires_seconds=self._settings.lease_seconds,
            )
        except (BrokerError, OSError) as error:
            self._rung_since = time.monotonic()
            log.warning("doorbell.failed", job_id=str(job_id), node=node, reason=first_line(error))


def _log_fields(row: Any) -> dict[str, Any]:
    return {"job_id": str(row["id"]), "attempt": row["attempt"], "state": row["state"], "node": row["from_node"]}
