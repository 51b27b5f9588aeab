"""The policy that the lab ships, and those that it is compared with: another order, or another choice of GPUs."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from heapq import heapify, heappop, heapreplace
from uuid import UUID

from benchmarks.simulate.fragmentation import demands_of, gradient_fit
from gpulab.states import Priority
from scheduler.planning.cluster import Ask, Choice, Cluster, Fit, best_fit
from scheduler.planning.plan import plan
from scheduler.planning.room import NodeRoom
from scheduler.planning.terms import LabHours, Placement, Policy, User, Waiting

NO_PROMISES = Policy(reservations=0)


@dataclass(frozen=True, slots=True)
class Look:
    """What a policy sees when it decides: the queue in order of submission, and the room, which it uses up."""

    jobs: Sequence[Waiting]
    rooms: Sequence[NodeRoom]
    now: float
    started: Mapping[User, int]
    """Jobs of each user that started so far."""
    lab_hours: Sequence[LabHours] = ()
    """Kept by the shipped policy; the others know none."""


def shipped(look: Look) -> Sequence[Placement]:
    return plan(look.jobs, look.rooms, now=look.now, lab_hours=look.lab_hours).placements


def fifo(look: Look) -> Sequence[Placement]:
    """Nothing passes the oldest job."""
    placements: list[Placement] = []
    for job in in_turns(look.jobs, {}, step=0):
        found = plan([job], look.rooms, now=look.now, policy=NO_PROMISES, fit=first_fit).placements
        if not found:
            break
        placements += found
    return placements


def round_robin(look: Look) -> Sequence[Placement]:
    """The user who started the fewest jobs is next."""
    return _in_order(look, in_turns(look.jobs, look.started, step=1), best_fit)


def best_fit_by_age(look: Look) -> Sequence[Placement]:
    return _in_order(look, in_turns(look.jobs, {}, step=0), best_fit)


def gradient_by_age(look: Look) -> Sequence[Placement]:
    """Whatever fits, by age, and where fragmentation grows least for what is waiting."""
    demands = demands_of(Cluster(look.rooms, look.now), Counter(job.needs for job in look.jobs))
    return _in_order(look, in_turns(look.jobs, {}, step=0), partial(gradient_fit, demands))


POLICIES: dict[str, Callable[[Look], Sequence[Placement]]] = {
    "shipped": shipped,
    "fifo": fifo,
    "round-robin": round_robin,
    "best-fit": best_fit_by_age,
    "gradient": gradient_by_age,
}


def in_turns(jobs: Sequence[Waiting], started: Mapping[User, int], step: int) -> Iterator[Waiting]:
    """Class by class the job of the user with the fewest jobs, among equals the oldest; by age alone if `step` is 0."""
    for priority in Priority:
        yield from _merged([job for job in jobs if job.priority is priority], started, step)


def _merged(jobs: Iterable[Waiting], started: Mapping[User, int], step: int) -> Iterator[Waiting]:
    own: dict[User, list[Waiting]] = {}
    for job in jobs:
        own.setdefault(job.user, []).append(job)
    lines = [iter(each) for each in own.values()]
    heap = [(started.get(user, 0), each[0].submitted_time, n, each[0]) for n, (user, each) in enumerate(own.items())]
    for line in lines:
        next(line)
    heapify(heap)
    while heap:
        count, _, n, job = heap[0]
        yield job
        following = next(lines[n], None)
        if following is None:
            heappop(heap)
        else:
            heapreplace(heap, (count + step, following.submitted_time, n, following))


def _in_order(look: Look, jobs: Iterable[Waiting], fit: Fit) -> Sequence[Placement]:
    """All jobs become one user's, whose jobs the planner takes as they come."""
    crowd = User(UUID(int=0))
    queue = [replace(job, user=crowd) for job in jobs]
    return plan(queue, look.rooms, now=look.now, policy=NO_PROMISES, fit=fit).placements


def first_fit(choices: Sequence[Choice], ask: Ask) -> Choice:
    node, gpus = choices[0]
    return node, gpus[: ask.count]
