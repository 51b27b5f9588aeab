"""The planner: a pure function from the queue and the machines to placements and reasons.

`order` says who is next, `limits` who has had enough, `lab` where a job fits. The first job that does not fit is
promised a start, and whatever passes it must not be in the way then (conservative backfill).
"""

from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heapreplace
from itertools import chain
from uuid import UUID

from scheduler.fit import Demand
from scheduler.lab import BLOCKED, RESERVED, Ask, Lab, demands_of
from scheduler.limits import wait_of
from scheduler.order import Line, charge, first, lines
from scheduler.room import NodeRoom
from scheduler.terms import Needs, Person, Placement, Plan, Policy, Wait, Waiting

SHIPPED = Policy()


def plan(jobs: Iterable[Waiting], nodes: Sequence[NodeRoom], *, now: float = 0.0, policy: Policy = SHIPPED) -> Plan:
    """Place what fits, in order, and say of the rest why it waits. Takes the jobs in order of submission.

    Uses up the room in `nodes`.

    Room only shrinks meanwhile, so where a job did not fit, no later one that asks for the same for as long is tried:
    a long queue costs a look-up a job. `now` is on the clock of the stays in `nodes`, in seconds.
    """
    return _Planning(Lab(nodes, now, policy), policy).run(list(lines(jobs, policy)))


class _Planning:
    """One call of `plan`."""

    def __init__(self, lab: Lab, policy: Policy) -> None:
        self._lab = lab
        self._policy = policy
        self._asks: dict[Needs, Ask] = {}
        self._placements: list[Placement] = []
        self._waiting: list[tuple[Wait, Sequence[Waiting]]] = []
        self._buckets: dict[tuple[Ask, str], list[Waiting]] = {}
        self._started: dict[Person, int] = {}
        self._starts: dict[UUID, float] = {}
        self._promises = policy.reservations
        self._blocked = False

    def run(self, classes: list[list[Line]]) -> Plan:
        estimating = list(first(classes, self._policy.estimates, self._cost_of))
        if self._policy.fit == "gradient":
            self._lab.demands = self._demands(classes)
        for each in classes:
            self._serve(each)
        self._estimate(estimating)
        return Plan(tuple(self._placements), self._waiting, self._starts)

    def _serve(self, its_lines: list[Line]) -> None:
        heap = [(line.tag, line.jobs[0].submitted_time, index, line) for index, line in enumerate(its_lines)]
        heapify(heap)
        while heap:
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
        ask = self._ask(job.needs)
        wait = wait_of(line.person, self._started.get(line.person, 0), uses_gpu=ask.count > 0)
        if wait is not None and wait.reason == "limit_running":
            self._waiting.append((wait, line.jobs[line.at :]))
            return False
        if wait is not None:
            self._waiting.append((wait, [job]))
        else:
            self._decide(job, ask, line.person)
        line.tag += charge(ask.share, job.time_limit_seconds, self._policy) * line.per_second
        line.at += 1
        return self._pass_hopeless(line)

    def _decide(self, job: Waiting, ask: Ask, person: Person) -> None:
        if ask.never is not None:
            self._wait(job, ask, ask.never, hopeless_from=0.0)
        elif self._blocked:
            self._wait(job, ask, BLOCKED, hopeless_from=0.0)
        elif isinstance(found := self._lab.place(ask, job), Wait):
            self._promise(job, ask)
            # A shorter job may still pass a promise; where nothing is free, nothing passes.
            self._wait(job, ask, found, hopeless_from=job.time_limit_seconds if found is RESERVED else 0.0)
        else:
            self._placements.append(found)
            self._started[person] = self._started.get(person, 0) + 1

    def _wait(self, job: Waiting, ask: Ask, wait: Wait, *, hopeless_from: float) -> None:
        ask.hopeless_from = min(ask.hopeless_from, hopeless_from)
        bucket = self._buckets.get((ask, wait.reason))
        if bucket is None:
            bucket = self._buckets[ask, wait.reason] = []
            self._waiting.append((wait, bucket))
        bucket.append(job)
        ask.waiting = bucket

    def _promise(self, job: Waiting, ask: Ask) -> None:
        self._blocked = self._policy.blocking
        impatient = max(0.0, self._lab.now - job.submitted_time) >= self._policy.patience_seconds
        if self._promises and ask.count and impatient:
            self._promises -= 1
            start = self._lab.book(ask, job)
            if start is not None:
                self._starts[job.id] = start.time

    def _pass_hopeless(self, line: Line) -> bool:
        """The loop that sees every job of a long queue."""
        jobs, at, tag, per_second = line.jobs, line.at, line.tag, line.per_second
        asks, policy, foresight = self._asks, self._policy, self._policy.foresight_seconds
        turns = policy.order == "turns"
        end = len(jobs)
        while at < end:
            job = jobs[at]
            ask = asks.get(job.needs)
            if ask is None or (seconds := job.time_limit_seconds) < ask.hopeless_from:
                break
            ask.waiting.append(job)
            cost = 1.0 if turns else ask.share * (seconds if seconds < foresight else foresight)  # noqa: FURB136 - a call costs more
            tag += cost * per_second
            at += 1
        line.at, line.tag = at, tag
        return at < end

    def _ask(self, needs: Needs) -> Ask:
        ask = self._asks.get(needs)
        if ask is None:
            ask = self._asks[needs] = self._lab.ask(needs)
        return ask

    def _cost_of(self, job: Waiting) -> float:
        return charge(self._ask(job.needs).share, job.time_limit_seconds, self._policy)

    def _estimate(self, jobs: Sequence[Waiting]) -> None:
        """Promise one start after another, as if every time limit were used up and nothing new came."""
        placed = {placement.job_id for placement in self._placements}
        for job in jobs:
            ask = self._ask(job.needs)
            if job.id in placed or job.id in self._starts or ask.never is not None:
                continue
            if wait_of(job.person, self._started.get(job.person, 0), uses_gpu=ask.count > 0) is not None:
                continue
            start = self._lab.book(ask, job)
            if start is not None:
                self._starts[job.id] = start.time

    def _demands(self, classes: list[list[Line]]) -> list[Demand]:
        counts: dict[Needs, int] = {}
        for job in chain.from_iterable(line.jobs for each in classes for line in each):
            counts[job.needs] = counts.get(job.needs, 0) + 1
        return demands_of((self._ask(needs), jobs) for needs, jobs in counts.items())
