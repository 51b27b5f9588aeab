"""The order of the queue: priority class, then decayed use over weight, then age.

Every job has a *tag*: its user's use, plus what their own jobs ahead of it in the class will use, over their weight.
The smallest tag is next; among equals the oldest. So users of equal use take turns, each with their oldest job, and
a user who queues a thousand jobs stands behind the first job of every user who queued one. It is start-time fair
queueing (Goyal, Vin, Cheng 1996) with decayed use as the virtual time at which a user begins.

The weight of a course multiplies those of the users, for its runs. A user with runs of courses that differ in it has a
line for each.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from heapq import heapify, heappop, heapreplace

from gpulab.states import Priority
from scheduler.planning.terms import Policy, User, Waiting


class Line:
    """One user's jobs of one class, of courses with the same weight, oldest first."""

    __slots__ = ("at", "jobs", "per_second", "tag", "user")

    def __init__(self, user: User, jobs: list[Waiting], policy: Policy) -> None:
        weight = weight_of(user, policy) * jobs[0].course_weight
        self.user = user
        self.jobs = jobs
        self.at = 0
        self.tag = user.used_seconds / weight
        self.per_second = 1 / weight


class Queue:
    """The jobs by class and user; they come in order of submission. A class is sorted out when it is asked for."""

    def __init__(self, jobs: Sequence[Waiting], policy: Policy) -> None:
        self._jobs = jobs
        self._policy = policy
        self._classes: dict[Priority, dict[tuple[User, float], list[Waiting]]] = {}

    def lines(self, priority: Priority) -> list[Line]:
        """Everybody's lines in the class, none of them empty."""
        if priority not in self._classes:
            own = self._classes[priority] = defaultdict(list)
            for job in [job for job in self._jobs if job.priority is priority]:
                own[job.user, job.course_weight].append(job)
        return [Line(user, jobs, self._policy) for (user, _), jobs in self._classes[priority].items()]

    def first(self, count: int, cost_of: Callable[[Waiting], float]) -> Iterator[Waiting]:
        """The first jobs in the order in which the planner looks at them."""
        for priority in Priority if count else ():
            for job in _merged(self.lines(priority), cost_of):
                yield job
                count -= 1
                if not count:
                    return


def _merged(its_lines: list[Line], cost_of: Callable[[Waiting], float]) -> Iterator[Waiting]:
    heap = [(line.tag, line.jobs[0].submitted_time, index) for index, line in enumerate(its_lines)]
    heapify(heap)
    while heap:
        line = its_lines[heap[0][2]]
        job = line.jobs[line.at]
        yield job
        line.at += 1
        line.tag += cost_of(job) * line.per_second
        if line.at < len(line.jobs):
            heapreplace(heap, (line.tag, line.jobs[line.at].submitted_time, heap[0][2]))
        else:
            heappop(heap)


def weight_of(user: User, policy: Policy) -> float:
    """The user's weight, with the boost of a deadline."""
    return user.weight * (policy.deadline_weight if user.deadline_near else 1.0)


def charge(share: float, time_limit_seconds: float, policy: Policy) -> float:
    """What a job adds to the tags behind it: seconds of the whole lab."""
    return share * min(time_limit_seconds, policy.foresight_seconds)
