"""The planner: a pure function from the queue and the machines to placements and reasons.

`order` says who is next, `limits` who has had enough, `cluster` where a job fits, `reasons` why the others wait. The
first job that does not fit is promised a start, and whatever passes it must not be in the way then (conservative
backfill).
"""

from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heapreplace
from math import inf
from operator import attrgetter
from uuid import UUID

from gpulab.states import Priority, WaitReason
from scheduler.planning.cluster import LAB_HOURS, RESERVED, Ask, Cluster, Fit, best_fit
from scheduler.planning.lab_hours import give_back, keep_free
from scheduler.planning.limits import wait_of
from scheduler.planning.order import Line, Queue, charge
from scheduler.planning.reasons import Reasons
from scheduler.planning.room import NodeRoom, Start
from scheduler.planning.terms import LabHours, Needs, Placement, Plan, Policy, Site, User, Wait, Waiting

SHIPPED = Policy()
LOOKS_A_SWEEP = 500
LASTS_TOO_LONG = (RESERVED, LAB_HOURS)


def plan(
    jobs: Sequence[Waiting],
    nodes: Sequence[NodeRoom],
    *,
    now: float = 0.0,
    policy: Policy = SHIPPED,
    fit: Fit = best_fit,
    lab_hours: Sequence[LabHours] = (),
) -> Plan:
    """Place what fits, in order, and say of the rest why it waits. Takes the jobs in order of submission.

    Uses up the room in `nodes`. Keeps GPUs free for the occurrences of `lab_hours`.

    Room only shrinks meanwhile, so where a job did not fit, no later one that asks for the same for as long is tried,
    and once nothing that is asked for fits, the rest of the queue is not looked at. `now` is on the clock of the stays
    in `nodes`, in seconds.
    """
    keep_free(lab_hours, nodes, now)
    planning = _Planning(jobs, Cluster(nodes, now, fit), policy)
    give_back(lab_hours, nodes, now, planning.wanted(lab_hours))
    return planning.run()


class _Planning:
    """One call of `plan`."""

    def __init__(self, jobs: Sequence[Waiting], cluster: Cluster, policy: Policy) -> None:
        self._jobs = jobs
        self._queue = Queue(jobs, policy)
        self._cluster = cluster
        self._policy = policy
        self._asks: dict[Needs, Ask] = {
            needs: cluster.ask(needs) for needs in dict.fromkeys(map(attrgetter("needs"), jobs))
        }
        for ask in self._asks.values():
            ask.hopeless_from = 0.0 if ask.never is not None else ask.hopeless_from
        self._hopeful = sum(ask.never is None for ask in self._asks.values())
        """Kinds of need that may still fit."""
        self._placements: list[Placement] = []
        self._placed: set[Waiting] = set()
        self._started: dict[User, int] = {}
        self._starts: dict[UUID, float] = {}
        self._sites: dict[UUID, Site] = {}
        self._promises = policy.reservations
        self._impatient_since = cluster.now - policy.patience_seconds if policy.patience_seconds else inf
        self._shortest: dict[Needs, float] = {}

    def wanted(self, lab_hours: Sequence[LabHours]) -> frozenset[UUID]:
        """Those for whose GPUs somebody waits who may start."""
        if not any(each.start <= self._cluster.now for each in lab_hours):
            return frozenset()
        theirs = (job for job in self._jobs if job.needs.lab_hours and self._may_start(job))
        return frozenset(hours for job in theirs for hours in job.needs.lab_hours)

    def _may_start(self, job: Waiting) -> bool:
        ask = self._asks[job.needs]
        return ask.count > 0 and ask.never is None and wait_of(job.user, 0, uses_gpu=True) is None

    def run(self) -> Plan:
        for priority in Priority:
            if self._hopeful > 0:
                self._serve(self._queue.lines(priority))
        self._estimate(self._queue.first(self._policy.estimates, self._cost_of))
        reasons = Reasons(self._cluster, self._asks, self._started)
        return Plan(tuple(self._placements), self._starts, self._jobs, frozenset(self._placed), reasons.of, self._sites)

    def _serve(self, its_lines: Iterable[Line]) -> None:
        heap = [(line.tag, line.jobs[0].submitted_time, index, line) for index, line in enumerate(its_lines)]
        heapify(heap)
        looks = 0
        while heap and self._hopeful > 0:
            looks += 1
            if not looks % LOOKS_A_SWEEP:
                self._sweep()
            _, _, index, line = heap[0]
            if self._take_next(line):
                heapreplace(heap, (line.tag, line.jobs[line.at].submitted_time, index, line))
            else:
                heappop(heap)

    def _take_next(self, line: Line) -> bool:
        """Deal with the line's next job and with those after it that need no look; False at its end."""
        before = line.at
        if not self._pass_hopeless(line):
            return False
        if line.at > before:
            return True  # its tag has grown; another line may be next
        job = line.jobs[line.at]
        ask = self._asks[job.needs]
        wait = wait_of(line.user, self._started.get(line.user, 0), uses_gpu=ask.count > 0)
        if wait is not None and wait.reason == WaitReason.LIMIT_RUNNING:
            return False
        if wait is None:
            self._decide(job, ask, line.user)
        line.tag += charge(ask.share, job.time_limit_seconds, self._policy) * line.per_second
        line.at += 1
        return self._pass_hopeless(line)

    def _decide(self, job: Waiting, ask: Ask, user: User) -> None:
        if job.time_limit_seconds >= ask.hopeless_from:
            self._promise(job, ask)
        elif isinstance(found := self._cluster.place(ask, job), Wait):
            self._promise(job, ask)
            self._narrow(ask, job.time_limit_seconds if found in LASTS_TOO_LONG else 0.0)
        else:
            self._placements.append(found)
            self._placed.add(job)
            self._started[user] = self._started.get(user, 0) + 1

    def _narrow(self, ask: Ask, hopeless_from: float) -> None:
        """A job with this time limit did not fit. A shorter one may still fit before a reservation."""
        if hopeless_from and not self._cluster.fits(ask, self._shortest_of(ask)):
            hopeless_from = 0.0
        ask.hopeless_from = hopeless_from
        self._hopeful -= not hopeless_from

    def _sweep(self) -> None:
        """Find the kinds that no longer fit, before a long queue is searched for a job of theirs."""
        for ask in self._asks.values():
            if ask.hopeless_from and not self._cluster.fits(ask, 0.0):
                ask.hopeless_from = 0.0
                self._hopeful -= 1

    def _shortest_of(self, ask: Ask) -> float:
        """The least time limit among the jobs of this kind."""
        shortest = self._shortest
        if not shortest:
            for job in self._jobs:
                if job.time_limit_seconds < shortest.get(job.needs, inf):
                    shortest[job.needs] = job.time_limit_seconds
        return shortest[ask.needs]

    def _promise(self, job: Waiting, ask: Ask) -> None:
        if self._promises and ask.count and job.submitted_time <= self._impatient_since:
            self._promises -= 1
            start = self._cluster.book(ask, job)
            if start is not None:
                self._note(job, start)

    def _pass_hopeless(self, line: Line) -> bool:
        """The loop that may see every job of a long queue."""
        jobs, at, tag, per_second = line.jobs, line.at, line.tag, line.per_second
        asks, foresight = self._asks, self._policy.foresight_seconds
        impatient_since = self._impatient_since if self._promises else -inf
        end = len(jobs)
        while at < end:
            job = jobs[at]
            ask = asks[job.needs]
            seconds = job.time_limit_seconds
            if seconds < ask.hopeless_from or (job.submitted_time <= impatient_since and ask.count and not ask.never):
                break
            cost = ask.share * (seconds if seconds < foresight else foresight)  # noqa: FURB136 - a call costs more
            tag += cost * per_second
            at += 1
        line.at, line.tag = at, tag
        return at < end

    def _cost_of(self, job: Waiting) -> float:
        return charge(self._asks[job.needs].share, job.time_limit_seconds, self._policy)

    def _estimate(self, jobs: Iterable[Waiting]) -> None:
        """Promise one start after another, as if every time limit were used up and nothing new came; keep none."""
        kept = []
        for job in jobs:
            ask = self._asks[job.needs]
            if job in self._placed or job.id in self._starts or ask.never is not None:
                continue
            if wait_of(job.user, self._started.get(job.user, 0), uses_gpu=ask.count > 0) is not None:
                continue
            start = self._cluster.book(ask, job)
            if start is not None:
                kept.append(start)
                self._note(job, start)
        for start in reversed(kept):
            self._cluster.unbook(start)

    def _note(self, job: Waiting, start: Start) -> None:
        self._starts[job.id] = start.time
        self._sites[job.id] = Site(start.node.name, tuple(gpu.uuid for gpu in start.gpus))
