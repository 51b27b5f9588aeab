"""Replays a workload: virtual time jumps from one arrival or end to the next, and a policy decides at each."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import inf
from uuid import UUID

from benchmarks.simulate.fragmentation import Demand, demands_of, fragmentation
from benchmarks.simulate.policies import Look
from benchmarks.simulate.workload import Machines, Task
from scheduler.planning.cluster import Cluster
from scheduler.planning.plan import SHIPPED
from scheduler.planning.room import GpuRoom, NodeRoom, Stay
from scheduler.planning.terms import LabHours, Placement, User
from scheduler.planning.use import aged, committed, decayed


@dataclass(slots=True)
class Run:
    """What happened to one task."""

    task: Task
    started: float
    placement: Placement

    @property
    def ended(self) -> float:
        return self.started + self.task.seconds

    @property
    def waited(self) -> float:
        return self.started - self.task.job.submitted_time


@dataclass(slots=True)
class History:
    """A whole replay."""

    runs: list[Run] = field(default_factory=list)
    fragmented: float = 0.0
    """Part of the lab that was free and of no use, times seconds, while jobs waited."""
    contended_seconds: float = 0.0
    """How long jobs waited at all."""


class Replay:
    """One policy over one workload. `tick_seconds` groups events of that span into one call of the planner."""

    def __init__(
        self,
        tasks: Sequence[Task],
        machines: Machines,
        policy: Callable[[Look], Sequence[Placement]],
        *,
        tick_seconds: float = 1.0,
        lab_hours: Sequence[LabHours] = (),
    ) -> None:
        self._tasks = tasks
        self._machines = machines
        self._policy = policy
        self._tick_seconds = tick_seconds
        self._lab_hours = lab_hours
        changes = {each.start for each in lab_hours} | {each.end for each in lab_hours}
        self._changes = sorted(changes | {each.start + each.give_back_seconds for each in lab_hours})
        """When more may start though nothing came and nothing ended."""
        self._by_id = {task.job.id: task for task in tasks}
        self._running: dict[UUID, Run] = {}
        self._ends: list[tuple[float, UUID]] = []
        self._queue: dict[UUID, Task] = {}
        self._past: dict[User, tuple[float, float]] = {}
        self._started: Counter[User] = Counter()
        self._history = History()
        self._demands = self._measure_demands()

    def run(self) -> History:
        arrivals = iter(self._tasks)
        arrival = next(arrivals, None)
        now = 0.0
        while (at := self._next(arrival, now)) < inf:
            now = max(now, at) + self._tick_seconds
            while self._ends and self._ends[0][0] <= now:
                self._end(heappop(self._ends)[1])
            while arrival is not None and arrival.job.submitted_time <= now:
                self._queue[arrival.job.id] = arrival
                arrival = next(arrivals, None)
            if self._queue:
                until = self._next(arrival, now)
                self._plan(now, max(now, until) if until < inf else now)
        return self._history

    def _next(self, arrival: Task | None, now: float) -> float:
        """When something comes, ends, or becomes free."""
        change = bisect_right(self._changes, now)
        return min(
            arrival.job.submitted_time if arrival else inf,
            self._ends[0][0] if self._ends else inf,
            self._changes[change] if change < len(self._changes) else inf,
        )

    def _end(self, job_id: UUID) -> None:
        run = self._running.pop(job_id)
        user = run.task.job.user
        used, then = self._past.get(user, (0.0, run.ended))
        more = decayed(run.placement.share, run.task.seconds, 0.0, SHIPPED.half_life_seconds)
        self._past[user] = (aged(used, run.ended - then, SHIPPED.half_life_seconds) + more, run.ended)

    def _plan(self, now: float, until: float) -> None:
        self._weigh(now)
        rooms = self._rooms(now)
        look = Look([task.job for task in self._queue.values()], rooms, now, self._started, self._lab_hours)
        for placement in self._policy(look):
            task = self._queue.pop(placement.job_id)
            run = Run(task, now, placement)
            self._running[placement.job_id] = run
            self._history.runs.append(run)
            self._started[task.job.user] += 1
            heappush(self._ends, (run.ended, placement.job_id))
        if self._queue:
            every = self._machines.every_gpu * self._machines.gpu_bytes
            seconds = max(0.0, min(until, self._ends[0][0] if self._ends else until) - now) + self._tick_seconds
            self._history.fragmented += fragmentation(rooms, self._demands) / every * seconds
            self._history.contended_seconds += seconds

    def _weigh(self, now: float) -> None:
        users = {task.job.user for task in self._queue.values()}
        for user in users:
            used, then = self._past.get(user, (0.0, now))
            user.used_seconds = aged(used, now - then, SHIPPED.half_life_seconds)
            user.running = 0
        for run in self._running.values():
            job = run.task.job
            job.user.running += 1
            job.user.used_seconds += committed(
                run.placement.share, now - run.started, job.time_limit_seconds, SHIPPED.foresight_seconds
            )

    def _rooms(self, now: float) -> list[NodeRoom]:
        machines = self._machines
        rooms = [
            NodeRoom(
                str(n), 0, frozenset(), gpus=[GpuRoom(f"{n}/{g}", machines.gpu_bytes) for g in range(machines.gpus)]
            )
            for n in range(machines.nodes)
        ]
        gpus = {gpu.uuid: gpu for room in rooms for gpu in room.gpus}
        for run in self._running.values():
            end = max(run.started + run.task.job.time_limit_seconds, now + 1)
            for uuid in run.placement.gpu_uuids:
                gpus[uuid].take(Stay(run.started, end, run.placement.reserved_bytes, run.task.job.needs.lab_hours))
        return rooms

    def _measure_demands(self) -> Sequence[Demand]:
        return demands_of(Cluster(self._rooms(0.0), 0.0), Counter(task.job.needs for task in self._tasks))
