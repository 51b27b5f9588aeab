"""The order of the queue: priority class, then decayed use over weight, then age.

Every job has a *tag*: its person's use, plus what their own jobs ahead of it in the class will use, over their weight.
The smallest tag is next; among equals the oldest. So people of equal use take turns, each with their oldest job, and
somebody who queues a thousand jobs stands behind the first job of everybody who queued one. It is start-time fair
queueing (Goyal, Vin, Cheng 1996) with decayed use as the virtual time at which a person begins.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import heapify, heappop, heapreplace

from gpulab.states import Priority
from scheduler.terms import Person, Policy, Waiting


class Line:
    """One person's jobs of one class, oldest first."""

    __slots__ = ("at", "jobs", "per_second", "person", "tag")

    def __init__(self, person: Person, jobs: list[Waiting], policy: Policy) -> None:
        weight = weight_of(person, policy)
        self.person = person
        self.jobs = jobs
        self.at = 0
        match policy.order:
            case "fair":
                self.tag, self.per_second = person.used_seconds / weight, 1 / weight
            case "turns":
                self.tag, self.per_second = person.used_seconds, 1.0
            case "age":
                self.tag = self.per_second = 0.0


def weight_of(person: Person, policy: Policy) -> float:
    """The person's weight, with the boost of a deadline."""
    return person.weight * (policy.deadline_weight if person.deadline_near else 1.0)


def lines(jobs: Iterable[Waiting], policy: Policy) -> Iterator[list[Line]]:
    """The lines of each priority class, most urgent class first. The jobs come in order of submission."""
    classes: dict[Priority, dict[Person, list[Waiting]]] = {each: defaultdict(list) for each in Priority}
    for job in jobs:
        classes[job.priority][job.person].append(job)
    for each in classes.values():
        yield [Line(person, own, policy) for person, own in each.items()]


def charge(share: float, time_limit_seconds: float, policy: Policy) -> float:
    """What a job adds to the tags behind it: seconds of the whole lab; a turn where turns are counted."""
    if policy.order == "turns":
        return 1.0
    return share * min(time_limit_seconds, policy.foresight_seconds)


def first(classes: Sequence[Sequence[Line]], count: int, cost_of: Callable[[Waiting], float]) -> Iterator[Waiting]:
    """The first so many jobs in the order in which the planner looks at them; leaves the lines as they are."""
    for each in classes:
        heap = [(line.tag, line.jobs[0].submitted_time, index, 0) for index, line in enumerate(each)]
        heapify(heap)
        while heap and count > 0:
            tag, _, index, at = heap[0]
            line = each[index]
            yield line.jobs[at]
            count -= 1
            if at + 1 < len(line.jobs):
                tag += cost_of(line.jobs[at]) * line.per_second
                heapreplace(heap, (tag, line.jobs[at + 1].submitted_time, index, at + 1))
            else:
                heappop(heap)
