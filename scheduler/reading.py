"""From rows to what the planner takes: users with their use, jobs, and the room that leases leave."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from gpulab.states import Priority
from models.composed import run
from models.settings import SchedulerSettings
from models.statements import nodes, queue, usage
from models.tables.lab_hours import occurrences
from scheduler.planning.lab_hours import keep_free
from scheduler.planning.preempt import Running
from scheduler.planning.room import NOBODY, GpuRoom, NodeRoom, Stay
from scheduler.planning.terms import LabHours, Limits, Needs, Policy, User, Waiting
from scheduler.planning.use import aged, committed
from scheduler.reservations import Reservations

USAGE_SECONDS = 60.0
"""Interval of summing up the usage of all ended leases. In between, only newly ended leases are added."""
OVERDUE_SECONDS = 1.0
"""A lease that outlived its time limit is expected to end so soon."""
AHEAD = timedelta(days=8)
"""How far ahead lab hours are looked at: a day more than the longest time limit."""
PRIORITIES = {each.value: each for each in Priority}


@dataclass(slots=True)
class Used:
    seconds: float = 0.0
    gpu_hours: float = 0.0
    gib_hours: float = 0.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at the lab."""

    now: float
    """Unix seconds by the clock of the database."""
    jobs: Sequence[Waiting]
    wait_reasons: dict[UUID, str | None]
    """The reason that each waiting job was given last."""
    users: dict[UUID, User]
    rooms: list[NodeRoom]
    leases: Sequence[Any]
    estimating: Sequence[Any]
    """Rows of jobs that wait for the prediction of their memory."""
    refused: Sequence[tuple[UUID, str]]
    """Jobs that no GPU of the lab can hold, and why."""
    counted: Mapping[UUID, int | None]
    """Bytes on each GPU of the jobs for which another number stands in their row."""
    lab_hours: Sequence[LabHours]
    """Occurrences that are under way or come soon."""
    entitled: Mapping[UUID, frozenset[UUID]]
    """The lab hours of each unfinished job that has any."""
    unpredicted: Mapping[UUID, str]
    """Jobs that take a whole GPU because their memory was not predicted, and why it was not."""


@dataclass(slots=True)
class _Sum:
    """Use of the leases that ended before `moment`, decayed to then."""

    moment: datetime
    of: dict[UUID, Used]
    deadline_near: frozenset[UUID]


class Reader:
    """Reads the lab for one leader; keeps nothing but the last sum of use."""

    def __init__(self, settings: SchedulerSettings) -> None:
        self._settings = settings
        self._half_life_seconds = settings.half_life_hours * 3600
        self._window_seconds = settings.window_hours * 3600
        self._limits = Limits(settings.max_running, settings.max_gpu_hours, settings.max_gib_hours)
        self._sum: _Sum | None = None
        self._reservations = Reservations(settings)

    def look(self, connection: Connection) -> Seen | None:
        """Everything that a plan needs; None where no job waits."""
        rows = run(connection, queue.waiting).all()
        if not rows:
            return None
        moment, now = run(connection, usage.clock).one()
        leases = run(connection, usage.live).all()
        owners = list({row.owner_id for row in rows})
        waiting = run(connection, usage.weights, user_ids=owners).all()
        users = self._users(waiting, self._used(connection, moment), leases)
        lab_hours = _coming(run(connection, queue.lab_hours), moment)
        entitled = _entitled(connection, lab_hours)
        rooms = self._rooms(connection, leases, entitled, now)
        sorted_out = self._reservations.of(connection, rows, rooms, now)
        jobs = _waiting(sorted_out.rows, users, sorted_out.reserved, rooms, entitled)
        return Seen(
            now=now,
            jobs=jobs,
            counted=_counted(sorted_out.rows, jobs),
            wait_reasons={row.id: row.wait_reason for row in rows},
            users=users,
            rooms=rooms,
            leases=leases,
            estimating=sorted_out.estimating,
            refused=sorted_out.refused,
            lab_hours=lab_hours,
            entitled=entitled,
            unpredicted=sorted_out.unpredicted,
        )

    def kept_gpus(self, connection: Connection) -> dict[UUID, dict[str, list[str]]]:
        """For each of the lab hours: UUIDs of the GPUs to keep, by the Unix seconds at which an occurrence starts."""
        rows = run(connection, queue.lab_hours).all()
        if not rows:
            return {}
        moment, now = run(connection, usage.clock).one()
        lab_hours = _coming(rows, moment)
        leases = run(connection, usage.live).all()
        rooms = self._rooms(connection, leases, _entitled(connection, lab_hours), now)
        keep_free(lab_hours, rooms, now)
        found: dict[UUID, dict[str, list[str]]] = {row.id: {} for row in rows}
        for gpu in (gpu for room in rooms for gpu in room.gpus):
            for kept in gpu.kept:
                found[kept.lab_hours].setdefault(f"{kept.start:.0f}", []).append(gpu.uuid)
        return found

    def _used(self, connection: Connection, moment: datetime) -> dict[UUID, Used]:
        known = self._sum
        if known is None or (moment - known.moment).total_seconds() > USAGE_SECONDS:
            horizon = usage.horizon_seconds(self._half_life_seconds, self._window_seconds)
            near = run(connection, usage.deadline_near, days=self._settings.deadline_days).scalars()
            finished = self._finished(connection, moment - timedelta(seconds=horizon))
            self._sum = _Sum(moment, finished, frozenset(near))
            return finished
        used = self._finished(connection, known.moment)
        passed = (moment - known.moment).total_seconds()
        for user, before in known.of.items():
            now = used[user]
            now.seconds += aged(before.seconds, passed, self._half_life_seconds)
            now.gpu_hours += before.gpu_hours
            now.gib_hours += before.gib_hours
        return used

    def _finished(self, connection: Connection, since: datetime) -> dict[UUID, Used]:
        found: dict[UUID, Used] = defaultdict(Used)
        half_life, window = self._half_life_seconds, self._window_seconds
        rows = run(connection, usage.finished, since=since, half_life_seconds=half_life, window_seconds=window)
        for row in rows:
            found[row.owner_id] = Used(row.used_seconds, row.gpu_hours, row.gib_hours)
        return found

    def _users(self, waiting: Iterable[Any], used: dict[UUID, Used], leases: Iterable[Any]) -> dict[UUID, User]:
        users = {}
        for row in waiting:
            past = used.get(row.id, Used())
            users[row.id] = User(
                row.id,
                weight=row.weight,
                used_seconds=past.seconds,
                gpu_hours=past.gpu_hours,
                gib_hours=past.gib_hours,
                limits=self._limits_of(row),
                deadline_near=self._sum is not None and row.id in self._sum.deadline_near,
            )
        for lease in leases:
            if (owner := users.get(lease.owner_id)) is not None:
                self._add(owner, lease)
        return users

    def _limits_of(self, row: Any) -> Limits:
        lab = self._limits
        return Limits(
            running=lab.running if row.max_running is None else row.max_running,
            gpu_hours=lab.gpu_hours if row.max_gpu_hours is None else row.max_gpu_hours,
            gib_hours=lab.gib_hours if row.max_gib_hours is None else row.max_gib_hours,
        )

    def _add(self, owner: User, lease: Any) -> None:
        owner.running += 1
        owner.used_seconds += committed(
            lease.share, lease.held_seconds, lease.time_limit_seconds, self._settings.foresight_seconds
        )
        hours = lease.held_seconds / 3600
        owner.gpu_hours += len(lease.gpu_uuids) * hours
        owner.gib_hours += (lease.held_bytes or 0) / 2**30 * hours

    def _rooms(
        self, connection: Connection, leases: Iterable[Any], entitled: Mapping[UUID, frozenset[UUID]], now: float
    ) -> list[NodeRoom]:
        rooms = {
            node.name: NodeRoom(
                node.name, node.slots, frozenset(node.datasets), _closed(node), node.refused_experiments
            )
            for node in run(connection, nodes.alive, silence_seconds=self._settings.lease_seconds)
        }
        gpus: dict[str, GpuRoom] = {}
        for gpu in run(connection, nodes.gpus):
            if gpu.node in rooms and gpu.healthy:
                gpus[gpu.uuid] = GpuRoom(
                    gpu.uuid,
                    gpu.memory_total_bytes,
                    model=gpu.name,
                    constants=gpu.constants,
                    constants_of=gpu.constants_of,
                )
                rooms[gpu.node].gpus.append(gpus[gpu.uuid])
            elif gpu.node in rooms and gpu.known_total_bytes is not None:
                rooms[gpu.node].lost_gpus.append(f"GPU {gpu.index} of {gpu.node}: {gpu.reason}")
        for lease in leases:
            _take(lease, rooms, gpus, entitled.get(lease.job_id, NOBODY), now)
        return list(rooms.values())


@dataclass(slots=True)
class _Shapes:
    """One object for each kind of need, so that the planner tries it once."""

    refused: frozenset[str]
    """Experiments that some node cannot run."""
    known: dict[tuple[Any, ...], Needs] = field(default_factory=dict)

    def of(self, row: Any, gpu_memory_bytes: int | None, lab_hours: frozenset[UUID]) -> Needs:
        experiment = row.experiment if row.experiment in self.refused else None
        key = (row.gpus, gpu_memory_bytes, row.exclusive, experiment, lab_hours, *row.datasets)
        found = self.known.get(key)
        if found is None:
            found = Needs(row.gpus, gpu_memory_bytes, row.exclusive, frozenset(row.datasets), experiment, lab_hours)
            self.known[key] = found
        return found


def policy_of(settings: SchedulerSettings, *, estimates: int) -> Policy:
    return Policy(
        foresight_seconds=settings.foresight_seconds,
        patience_seconds=settings.patience_seconds,
        half_life_seconds=settings.half_life_hours * 3600,
        deadline_weight=settings.deadline_weight,
        estimates=estimates,
    )


def resumable(leases: Iterable[Any], entitled: Mapping[UUID, frozenset[UUID]]) -> list[Running]:
    """Attempts under way that have a checkpoint to go on from."""
    return [
        _running(lease, entitled.get(lease.job_id, NOBODY))
        for lease in leases
        if lease.resumable and lease.claimed_at is not None
    ]


def _running(lease: Any, lab_hours: frozenset[UUID]) -> Running:
    return Running(
        lease_token=lease.token,
        node=lease.node,
        gpu_uuids=tuple(lease.gpu_uuids),
        reserved_bytes=lease.reserved_bytes,
        held_seconds=lease.held_seconds,
        yielding=lease.yield_requested_at is not None,
        is_low=lease.priority == Priority.LOW,
        lab_hours=lab_hours,
    )


def _waiting(
    rows: Iterable[Any],
    users: dict[UUID, User],
    reserved: Mapping[UUID, int],
    rooms: Iterable[NodeRoom],
    entitled: Mapping[UUID, frozenset[UUID]],
) -> list[Waiting]:
    shapes = _Shapes(frozenset(name for room in rooms for name in room.refuses))
    return [
        Waiting(
            row.id,
            users[row.owner_id],
            shapes.of(row, reserved.get(row.id, row.gpu_memory_bytes), entitled.get(row.id, NOBODY)),
            row.time_limit_seconds,
            row.submitted_at.timestamp(),
            PRIORITIES[row.priority],
            row.course_weight,
        )
        for row in rows
    ]


def _counted(rows: Iterable[Any], jobs: Iterable[Waiting]) -> dict[UUID, int | None]:
    pairs = zip(rows, jobs, strict=True)
    return {row.id: size for row, job in pairs if (size := job.needs.gpu_memory_bytes) != row.counted_bytes}


def _coming(rows: Iterable[Any], moment: datetime) -> list[LabHours]:
    """The occurrences of the next days."""
    return [
        LabHours(
            row.id,
            each.start.timestamp(),
            each.end.timestamp(),
            row.gpus,
            row.node,
            give_back_seconds=60.0 * row.give_back_minutes,
        )
        for row in rows
        for each in takewhile(lambda one: one.start < moment + AHEAD, occurrences(row, moment))
    ]


def _entitled(connection: Connection, lab_hours: Iterable[LabHours]) -> dict[UUID, frozenset[UUID]]:
    ids = list({each.id for each in lab_hours})
    if not ids:
        return {}
    found: defaultdict[UUID, set[UUID]] = defaultdict(set)
    for row in run(connection, queue.of_lab_hours, ids=ids):
        for job_id in row.job_ids:
            found[job_id].add(row.id)
    return {job_id: frozenset(theirs) for job_id, theirs in found.items()}


def _take(
    lease: Any, rooms: dict[str, NodeRoom], gpus: dict[str, GpuRoom], lab_hours: frozenset[UUID], now: float
) -> None:
    start = now - lease.held_seconds
    end = max(start + lease.time_limit_seconds, now + OVERDUE_SECONDS)
    if not lease.gpu_uuids and lease.node in rooms:
        rooms[lease.node].slot_ends.append(end)
    for uuid in lease.gpu_uuids:
        if uuid in gpus:
            gpus[uuid].take(Stay(start, end, lease.reserved_bytes, lab_hours))


def _closed(node: Any) -> bool:
    """Whether nothing new starts on the node: it drains, or it is set aside."""
    return node.draining or node.fault is not None
