"""The planner against a plain one that looks at every job, one after the other."""

from collections import defaultdict
from copy import deepcopy
from dataclasses import replace
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from gpulab.states import Priority
from scheduler.planning.cluster import Cluster
from scheduler.planning.limits import wait_of
from scheduler.planning.order import Line, charge
from scheduler.planning.plan import plan
from scheduler.planning.room import NodeRoom
from scheduler.planning.terms import Limits, Placement, Policy, User, Wait, Waiting
from tests.unit.scheduler.labs import machines, queues

NOW = 1000.0
POLICIES = st.builds(
    Policy,
    reservations=st.integers(0, 2),
    patience_seconds=st.sampled_from([0.0, 500.0, 2000.0]),
)
LIMITS = st.builds(
    Limits, running=st.none() | st.integers(0, 3), gpu_hours=st.none() | st.just(0.0), gib_hours=st.none()
)


class Plain:
    """Takes the job with the smallest tag and tries it, until every job was tried."""

    def __init__(self, jobs: list[Waiting], rooms: list[NodeRoom], policy: Policy) -> None:
        self.jobs, self.policy, self.lab = jobs, policy, Cluster(rooms, NOW)
        self.placements: list[Placement] = []
        self.starts: dict[UUID, float] = {}
        self.started: dict[User, int] = defaultdict(int)
        for priority in Priority:
            self.serve([job for job in jobs if job.priority is priority])

    def serve(self, jobs: list[Waiting]) -> None:
        own: dict[tuple[User, float], list[Waiting]] = defaultdict(list)
        for job in jobs:
            own[job.user, job.course_weight].append(job)
        lines = [Line(user, each, self.policy) for (user, _), each in own.items()]
        while lines:
            line = min(lines, key=lambda each: (each.tag, each.jobs[0].submitted_time))
            job = line.jobs.pop(0)
            self.look(job)
            ask = self.lab.ask(job.needs)
            line.tag += charge(ask.share, job.time_limit_seconds, self.policy) * line.per_second
            lines = [each for each in lines if each.jobs]

    def look(self, job: Waiting) -> None:
        ask = self.lab.ask(job.needs)
        limit = wait_of(job.user, self.started[job.user], uses_gpu=ask.count > 0)
        if ask.never or limit:
            return
        found = self.lab.place(ask, job)
        if isinstance(found, Placement):
            self.placements.append(found)
            self.started[job.user] += 1
            return
        impatient = not self.policy.patience_seconds or NOW - job.submitted_time >= self.policy.patience_seconds
        if impatient and ask.count and len(self.starts) < self.policy.reservations:
            start = self.lab.book(ask, job)
            assert start is not None
            self.starts[job.id] = start.time

    def reason(self, job: Waiting, unpromised: Cluster) -> str:
        ask = self.lab.ask(job.needs)
        told = ask.never or wait_of(job.user, self.started[job.user], uses_gpu=ask.count > 0)
        if told:
            return told.reason
        assert isinstance(self.lab.place(ask, job), Wait)
        if not ask.count:
            return "no_free_slot"
        room = isinstance(unpromised.place(unpromised.ask(job.needs), job), Placement)
        return "reserved_for_another" if room else "no_free_gpu"


@settings(max_examples=200)
@given(queues(), machines(), POLICIES, st.lists(LIMITS, min_size=4, max_size=4))
def test_shortcuts_change_nothing(
    jobs: list[Waiting], rooms: list[NodeRoom], policy: Policy, limits: list[Limits]
) -> None:
    kinds = list({(each.needs.gpus, each.needs.gpu_memory_bytes): each.needs for each in jobs}.values())[:4]
    jobs = [replace(each, needs=kinds[each.id.int % len(kinds)], submitted_time=each.id.int * 40.0) for each in jobs]
    for each in jobs:
        each.user.limits = limits[each.user.id.int - 1]
    plain = Plain(jobs, deepcopy(rooms), policy)
    made = plan(jobs, rooms, now=NOW, policy=policy)
    assert list(made.placements) == plain.placements
    # Once nothing fits, a promise changes nothing, and none is made.
    assert made.starts.items() <= plain.starts.items()
    bare = deepcopy(rooms)
    for gpu in (gpu for room in bare for gpu in room.gpus):
        gpu.booked.clear()
    for job in made.waiting:
        assert made.wait_of(job).reason == plain.reason(job, Cluster(deepcopy(bare), NOW))
